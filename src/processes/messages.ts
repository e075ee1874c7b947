import type { LogPlace } from '../log/log-place.ts'
import type { ProcessEvent } from '../observe/events.ts'
import type { ReplicaInit } from '../replica/init.ts'
import type { SerializedError } from '../serialized-error.ts'

/** The options of `createReplica` that are plain data, for a replica in a process of its own. */
export interface ReplicaOptions
  extends Omit<
    ReplicaInit<unknown>,
    'group' | 'machine' | 'log' | 'logger' | 'privateKey' | 'libp2p' | 'clock' | 'random' | 'authorize'
  > {
  /** Settings of your own program. They travel by structured clone. */
  readonly settings?: unknown
}

/** What a program is told when it starts. */
export interface ProgramOptions extends ReplicaOptions {
  readonly name: string
  readonly group: string
  /** Where the cluster's log is. */
  readonly log: LogPlace
  /** The URL of the module whose backend is used instead. */
  readonly logModule?: string
}

/** From the parent to the process. */
export type Command =
  | { readonly type: 'start'; readonly options: ProgramOptions }
  | { readonly type: 'call'; readonly call: number; readonly method: string; readonly args: unknown[] }
  | { readonly type: 'stop' }

/** From the process to its parent. */
export type Report =
  | { readonly type: 'started'; readonly id: string }
  /** The replica was stopped; the process must now exit by itself. */
  | { readonly type: 'stopped' }
  /** The replica could not start, or not stop cleanly. */
  | { readonly type: 'failed'; readonly error: SerializedError }
  | { readonly type: 'event'; readonly event: ProcessEvent }
  | { readonly type: 'returned'; readonly call: number; readonly value: unknown }
  | { readonly type: 'threw'; readonly call: number; readonly error: SerializedError }
