import type { Position } from '../position.ts'
import { Busy, NotLeader, SyncError } from './errors.ts'
import type { SyncHost } from './host.ts'
import { LOOK_MS } from './limits.ts'
import type { Peers } from './peers.ts'

export interface AskLeaderInit {
  readonly self: string
  readonly host: SyncHost
  readonly peers: Peers
  /** This replica's own answer, for when it leads itself. */
  readonly answer?: (above: Position) => Promise<Position>
}

/** An anchor, or why there is none yet and when to ask again. */
export type LeaderAnswer =
  | { readonly anchor: Position }
  | { readonly anchor: undefined; readonly error: Error; readonly retryMs: number }

/** Ask whoever leads by now, or whom that one names instead, for an anchor above a position. */
export async function askLeader(init: AskLeaderInit, above: Position): Promise<LeaderAnswer> {
  const { self, host, peers, answer } = init
  let leader = host.leader()
  let error: Error = new NotLeader(undefined)
  for (let hop = 0; hop < 2 && leader !== undefined; hop++) {
    try {
      if (leader === self && answer !== undefined) return { anchor: await answer(above) }
      if (leader === self) break
      const channel = await peers.channel(leader, 'ask')
      return { anchor: (await channel.request({ type: 'snapshot', position: above }, 'anchored')).anchor }
    } catch (cause) {
      if (!(cause instanceof SyncError)) throw cause
      error = cause
      const named = cause instanceof NotLeader ? cause.leader : undefined
      leader = named === leader ? undefined : named
    }
  }
  return { anchor: undefined, error, retryMs: error instanceof Busy ? error.retryMs : LOOK_MS }
}
