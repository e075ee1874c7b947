import type { ReplicaState } from '../../group/announcement.ts'
import type { CatchUpProgress } from '../../group/catch-up-progress.ts'
import type { AnchorVotes } from '../../group/group-state.ts'
import type { Member } from '../../group/membership.ts'
import type { LogHold } from '../../group/pruning.ts'
import type { SilentMember } from '../../group/silent-members.ts'
import { chunkCells } from '../../replica/membership/chunk-cells.ts'
import type { ObservableReplica } from '../observable-replica.ts'
import type { AnchorView, CatchUpView, MemberView, OfferView } from './view.ts'

/**
 * How much of what members announce is told. A group has a few members; one that announces more than its due must not make
 * a view that is too large to be sent four times a second.
 */
export const MEMBERS_MAX = 1_000
export const OFFERS_MAX = 500
export const CATCH_UPS_MAX = 200
/** Catch-ups that are told with their providers and chunks. */
export const DETAILED_MAX = 20
export const ANCHORS_MAX = 20
export const HOLDS_MAX = 100
const ADDRESSES_MAX = 8
const OWN_CELLS_MAX = 4_096
/** A leader names at most 5. */
const ELECTORS_MAX = 20
const TEXT_LENGTH_MAX = 200
/** Digits of a root that are told. */
const ROOT_DIGITS = 16

/** What is known of this replica at once, and not from its own announcement, which is a moment old. */
export interface Self {
  readonly id: string
  readonly state: ReplicaState
  readonly applied: number
  readonly leader: string | undefined
  /** The newest entry of the log, as far as it is known. */
  readonly newest: number
}

/**
 * Ids are PeerIds, of some 60 characters. A presence store takes any text. Visitors have no address. However many there
 * are, this replica and the leader are among those that are told, and they come first.
 */
export function namedMembers(members: readonly Member[], self: string, leader: string | undefined): Member[] {
  const named = members.filter(({ id, addresses }) => addresses.length > 0 && id.length <= TEXT_LENGTH_MAX)
  const isWeighty = ({ id }: Member) => id === self || id === leader
  return [...named.filter(isWeighty), ...named.filter((one) => !isWeighty(one))].slice(0, MEMBERS_MAX)
}

export function membersOf(
  members: readonly Member[],
  silent: readonly SilentMember[],
  self: Self,
  nowMs: number,
): MemberView[] {
  // What a member says that it applied may be wrong, and is no measure of the others then.
  const newest = Math.min(self.newest, Math.max(0, ...members.map(({ applied }) => applied)))
  const speaking = members.map((member) => {
    const { id, state, applied } = member.id === self.id ? self : member
    const leads = id === self.leader && (id === self.id || member.leads > 0)
    return { ...memberOf(member, nowMs), state, applied, leads, lag: Math.max(0, newest - applied) }
  })
  const gone = silent
    .filter(({ id }) => id.length <= TEXT_LENGTH_MAX)
    .map((member) => ({
      ...memberOf(member, nowMs),
      lag: Math.max(0, newest - member.applied),
      silent: true,
    }))
  return [...speaking, ...gone].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function memberOf(member: Member | SilentMember, nowMs: number): MemberView {
  const { id, state, applied, checkpoint, version, signature, addresses, announcedAtMs } = member
  return {
    ...{ id, state, applied, lag: 0, leads: false, checkpoint, silent: false },
    ...(version !== undefined && { version: short(version) }),
    ...(signature !== undefined && { signature: short(signature) }),
    addresses: addresses.slice(0, ADDRESSES_MAX).map(short),
    ageMs: Math.max(0, Math.round(nowMs - announcedAtMs)),
  }
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
    const electors = electorate.slice(0, ELECTORS_MAX).map(short)
    const roots = [...attested]
      .slice(0, ELECTORS_MAX)
      .map(([elector, root]) => [short(elector), digits(root)])
    return { index, electorate: electors, attested: Object.fromEntries(roots), state }
  })
}

/** Those that hold the most back come first. */
export function holdsOf(holds: readonly LogHold[]): LogHold[] {
  return holds.toSorted((a, b) => a.upTo - b.upTo).slice(0, HOLDS_MAX)
}

export function catchUpsOf(
  members: readonly Member[],
  replica: Pick<ObservableReplica, 'id' | 'catchUp' | 'chunkMap'>,
): Omit<CatchUpView, 'leftMs'>[] {
  const others = members.flatMap(({ id, catchUp }) =>
    id === replica.id || catchUp === undefined ? [] : [catchUpOf(id, catchUp)],
  )
  return [...ownCatchUp(replica), ...others]
    .slice(0, CATCH_UPS_MAX)
    .map((one, place) => (place < DETAILED_MAX ? one : { ...one, providers: [], cells: '' }))
}

/** As it is now, chunk by chunk, and not as it was announced last. */
function ownCatchUp({
  id,
  catchUp,
  chunkMap,
}: Pick<ObservableReplica, 'id' | 'catchUp' | 'chunkMap'>): Omit<CatchUpView, 'leftMs'>[] {
  if (catchUp === undefined) return []
  const peers = catchUp.providers.map(({ peer }) => peer)
  const cells = chunkMap === undefined ? catchUp.cells : chunkCells(chunkMap, peers, OWN_CELLS_MAX)
  return [catchUpOf(id, { ...catchUp, cells })]
}

function catchUpOf(member: string, { cells, ...progress }: CatchUpProgress): Omit<CatchUpView, 'leftMs'> {
  return { member, ...progress, cells: Buffer.from(cells).toString('hex') }
}

function digits(root: Uint8Array): string {
  return Buffer.from(root).toString('hex').slice(0, ROOT_DIGITS)
}

function short(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
}
