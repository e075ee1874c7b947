import type { CatchUpView, MemberView, PageView } from '../../../src/observe/page/view.ts'

/** A view of a group in which nothing happens, but for what is given. */
export function viewOf(given: Partial<PageView> = {}): PageView {
  return {
    atMs: 1_000_000,
    group: 'cities',
    self: 'replica-of-ours',
    version: '0.2.0',
    state: 'in-sync',
    leader: 'replica-of-ours',
    term: 1,
    log: { connected: true, first: 1, newest: 100, applied: 100, holds: [] },
    members: [memberOf('replica-of-ours')],
    anchors: [],
    offers: [],
    catchUps: [],
    rates: { appliedPerSecond: 0, appendedPerSecond: 0, fetchedPerSecond: 0, servedPerSecond: 0 },
    ...given,
  }
}

export function memberOf(id: string, given: Partial<MemberView> = {}): MemberView {
  return {
    id,
    state: 'in-sync',
    applied: 100,
    lag: 0,
    leads: false,
    checkpoint: 0,
    addresses: [],
    ageMs: 0,
    silent: false,
    ...given,
  }
}

export function catchUpOf(member: string, given: Partial<CatchUpView> = {}): CatchUpView {
  return {
    member,
    id: `catch-up of ${member}`,
    phase: 'fetching',
    anchor: 90,
    chunks: 2,
    chunksTotal: 4,
    bytes: 200,
    bytesTotal: 400,
    elapsedMs: 1_000,
    providers: [{ peer: 'replica-of-ours', chunks: 2, bytesPerSecond: 100 }],
    cells: '11110000',
    ...given,
  }
}
