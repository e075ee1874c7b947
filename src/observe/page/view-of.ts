import type { ReplicaState } from '../../group/announcement.ts'
import type { CatchUpProgress } from '../../group/catch-up-progress.ts'
import type { AnchorVotes } from '../../group/group-state.ts'
import type { Member } from '../../group/membership.ts'
import type { LogHold } from '../../group/pruning.ts'
import type { ObservableReplica } from '../observable-replica.ts'
import type { AnchorView, CatchUpView, MemberView, OfferView } from './view.ts'

/**
 * How much of what members announce is told. A group has a few members; one that announces more than its due must not make
 * a view that is too large to be sent four times a second.
 */
export const MEMBERS_MAX = 1_000
export const OFFERS_MAX = 500
export const CATCH_UPS_MAX = 200
export const ANCHORS_MAX = 20
export const HOLDS_MAX = 100
const ADDRESSES_MAX = 8
const PROVIDERS_MAX = 15
const TEXT_LENGTH_MAX = 200
/** Digits of a root that are told. */
const ROOT_DIGITS = 16

/** What is known of this replica at once, and not from its own announcement, which is a moment old. */
export interface Self {
  readonly id: string
  readonly state: ReplicaState
  readonly applied: number
  readonly leader: string | undefined
}

export function membersOf(members: readonly Member[], self: Self, nowMs: number): MemberView[] {
  const newest = Math.max(self.applied, ...members.map(({ applied }) => applied))
  return members.slice(0, MEMBERS_MAX).map((member) => {
    const { id, checkpoint, version, signature, addresses, announcedAtMs } = member
    const { state, applied } = id === self.id ? self : member
    return {
      id,
      state,
      applied,
      lag: newest - applied,
      leads: id === self.leader && (id === self.id || member.leads > 0),
      checkpoint,
      ...(version !== undefined && { version: short(version) }),
      ...(signature !== undefined && { signature: short(signature) }),
      addresses: addresses.slice(0, ADDRESSES_MAX).map(short),
      ageMs: Math.max(0, Math.round(nowMs - announcedAtMs)),
      silent: false,
    }
  })
}

/** The newest anchors', oldest first. */
export function offersOf(
  members: readonly Member[],
  { id: self, offers, ttlMs }: Pick<ObservableReplica, 'id' | 'offers' | 'ttlMs'>,
  nowMs: number,
): OfferView[] {
  const announced = members.flatMap((member): OfferView[] => {
    const ageMs = nowMs - member.announcedAtMs
    return member.offers.map(({ anchor, ready, remainingMs, servedBytes = 0 }) => {
      const leftMs = Math.max(0, Math.round(remainingMs - ageMs))
      // Members do not announce how long it was. They are usually given the same.
      return {
        member: member.id,
        anchor,
        ready,
        remainingMs: leftMs,
        ttlMs: Math.max(ttlMs, leftMs),
        servedBytes,
      }
    })
  })
  const served = new Map(
    announced.filter(({ member }) => member === self).map((offer) => [offer.anchor, offer.servedBytes]),
  )
  const own = offers.map(({ anchor: { index }, ready, remainingMs }): OfferView => {
    const servedBytes = served.get(index) ?? 0
    return { member: self, anchor: index, ready, remainingMs: Math.round(remainingMs), ttlMs, servedBytes }
  })
  const all = [...announced.filter(({ member }) => member !== self), ...own]
  all.sort((a, b) => a.anchor - b.anchor || (a.member < b.member ? -1 : 1))
  return all.slice(-OFFERS_MAX)
}

export function anchorsOf(anchors: readonly AnchorVotes[]): AnchorView[] {
  return anchors.slice(-ANCHORS_MAX).map(({ index, electorate, attested, state }) => {
    const roots = [...attested].map(([elector, root]) => [
      elector,
      Buffer.from(root).toString('hex').slice(0, ROOT_DIGITS),
    ])
    return { index, electorate, attested: Object.fromEntries(roots), state }
  })
}

/** Those that hold the most back come first. */
export function holdsOf(holds: readonly LogHold[]): LogHold[] {
  return holds.toSorted((a, b) => a.upTo - b.upTo).slice(0, HOLDS_MAX)
}

export function catchUpsOf(members: readonly Member[], self: string): Omit<CatchUpView, 'leftMs'>[] {
  const running = members.flatMap(({ id, catchUp }) =>
    catchUp === undefined ? [] : [catchUpOf(id, catchUp)],
  )
  running.sort((a, b) => Number(b.member === self) - Number(a.member === self))
  return running.slice(0, CATCH_UPS_MAX)
}

function catchUpOf(member: string, catchUp: CatchUpProgress): Omit<CatchUpView, 'leftMs'> {
  const { cells, providers, ...rest } = catchUp
  return {
    member,
    ...rest,
    providers: providers.slice(0, PROVIDERS_MAX),
    cells: Buffer.from(cells).toString('hex'),
  }
}

function short(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
}
