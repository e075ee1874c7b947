import type { Position } from '../../position.ts'
import { SyncError } from '../errors.ts'
import type { SyncHost } from '../host.ts'
import { Busy, NotLeader } from '../wire/errors.ts'
import type { Peers } from '../wire/peers.ts'
import { busyMs, POLL_INTERVAL_MS } from './retry.ts'

export interface AskLeaderInit {
  readonly self: string
  readonly host: SyncHost
  readonly peers: Peers
  /** A number from 0 up to 1. */
  readonly random: () => number
  /** This replica's own answer, where it leads itself. */
  readonly answer?: (above: Position) => Promise<Position>
}

/** An anchor, or why there is none yet and when to ask again. `peer` is the one that was asked last. */
export type LeaderAnswer =
  | { readonly anchor: Position; readonly peer: string }
  | {
      readonly anchor: undefined
      readonly peer: string | undefined
      readonly error: Error
      readonly retryMs: number
    }

/**
 * Ask the leader for an anchor above a position, and if it says NotLeader, the one that it names.
 *
 * @param first the member that is asked in the leader's place, to name it
 */
export async function askLeader(init: AskLeaderInit, above: Position, first?: string): Promise<LeaderAnswer> {
  const { self, host, peers, random, answer } = init
  let leader = first ?? host.leader()
  let peer: string | undefined
  let error: Error = new NotLeader(undefined)
  for (let hop = 0; hop < 2 && leader !== undefined; hop++) {
    peer = leader
    try {
      if (leader === self && answer !== undefined) return { anchor: await answer(above), peer }
      if (leader === self) break
      const channel = await peers.channel(leader, 'ask')
      const { anchor } = await channel.request({ type: 'snapshot', position: above }, 'anchored')
      return { anchor, peer }
    } catch (cause) {
      if (!(cause instanceof SyncError)) throw cause
      error = cause
      const named = cause instanceof NotLeader ? cause.leader : undefined
      leader = named === leader ? undefined : named
    }
  }
  const retryMs = error instanceof Busy ? busyMs(error, random) : POLL_INTERVAL_MS
  return { anchor: undefined, peer, error, retryMs }
}
