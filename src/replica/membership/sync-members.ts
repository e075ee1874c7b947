import type { Member } from '../../group/membership.ts'
import type { SyncMember } from '../../sync/host.ts'

/** The members as snapshot sync knows them. */
export function syncMembers(members: readonly Member[], nowMs: number): SyncMember[] {
  return members.map(({ id, addresses, state, offers, applied, needs, announcedAtMs }) => ({
    id,
    addresses,
    applied,
    needs,
    serves: state === 'in-sync' || state === 'following' || offers.length > 0,
    offers: offers.map(({ anchor, remainingMs }) => ({
      anchor,
      remainingMs: announcedAtMs + remainingMs - nowMs,
    })),
  }))
}
