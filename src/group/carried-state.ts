import { fromBinary } from '@bufbuild/protobuf'
import type { Genesis } from './control.ts'
import { FIRST_FORMAT } from './formats.ts'
import type { StampedClock } from './machine-time.ts'
import { GroupStateSchema } from './pb/group_pb.js'
import type { RecentWrite } from './recent-writes.ts'

/** The part of the group's state that a snapshot carries. */
export interface CarriedState {
  readonly term: number
  readonly leader: string | undefined
  /** Machine time, in whole milliseconds. */
  readonly timeMs: number
  readonly clocks: readonly StampedClock[]
  /** The id of the newest entry; empty before the first. */
  readonly entryId: string
  /** See `GroupState.format`. */
  readonly format: number
  /** See `GroupState.signature`; undefined before format 2: the one that the log is bound to. */
  readonly signature: string | undefined
  /** See `GroupState.lastCommand`; 0 before format 2. */
  readonly lastCommand: number
  /** See `RecentWrites.keyed`; empty before format 2. */
  readonly recent: readonly RecentWrite[]
}

/** Reads what `GroupState.encode` wrote. Throws for other bytes. */
export function decodeGroupState(bytes: Uint8Array): CarriedState {
  const message = fromBinary(GroupStateSchema, bytes)
  const { term, leader, timeMs, entryId, clocks, format, signature, lastCommand, recent } = message
  return {
    format: Math.max(FIRST_FORMAT, format),
    signature: signature === '' ? undefined : signature,
    lastCommand: Number(lastCommand),
    recent: recent.map(({ key, index }) => ({ key, index: Number(index) })),
    term: Number(term),
    leader: leader === '' ? undefined : leader,
    timeMs: Number(timeMs),
    clocks: clocks.map((clock) => ({ timestampMs: Number(clock.timestampMs), timeMs: Number(clock.timeMs) })),
    entryId,
  }
}

/** The state of a group whose log begins with a snapshot, there: nobody has led it. */
export function begunWith({ timeMs, format, signature }: Omit<Genesis, 'root'>): CarriedState {
  // Machine time comes from another log, whose clocks do not matter here.
  const fresh = { term: 0, leader: undefined, clocks: [], entryId: '', recent: [] }
  return { ...fresh, timeMs, format, signature, lastCommand: 1 }
}
