import type { LogPlace } from '../log/log-at.ts'
import type { ReplicaInit } from '../replica/init.ts'
import type { ProcessEvent } from './events.ts'

/** The options of `createReplica` that are plain data, for a replica in a process of its own. */
export interface ReplicaOptions
  extends Omit<
    ReplicaInit<unknown>,
    'group' | 'machine' | 'log' | 'privateKey' | 'libp2p' | 'clock' | 'random' | 'authorize'
  > {
  /** Anything your own program wants to know, as far as it can be cloned. */
  readonly settings?: unknown
}

/** What a program is told when it starts. */
export interface ProgramOptions extends ReplicaOptions {
  readonly name: string
  readonly group: string
  /** Where the cluster's log is. */
  readonly log: LogPlace
}

/** From the test to the process. */
export type Command =
  | { readonly type: 'start'; readonly options: ProgramOptions }
  | { readonly type: 'call'; readonly call: number; readonly method: string; readonly args: unknown[] }
  | { readonly type: 'stop' }

/** From the process to the test. */
export type Report =
  | { readonly type: 'started'; readonly id: string }
  /** The replica was stopped; the process must now exit by itself. */
  | { readonly type: 'stopped' }
  /** The replica could not start, or not stop cleanly. */
  | { readonly type: 'failed'; readonly error: CarriedError }
  | { readonly type: 'event'; readonly event: ProcessEvent }
  | { readonly type: 'returned'; readonly call: number; readonly value: unknown }
  | { readonly type: 'threw'; readonly call: number; readonly error: CarriedError }

/** An error as it travels between processes: structured clone alone would lose its name and its fields. */
export interface CarriedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: CarriedError | undefined
}

export function carry(thrown: unknown): CarriedError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const { name, message, stack, cause } = error
  const fields = Object.entries(error).filter(([, value]) => isCloneable(value))
  return {
    name,
    message,
    stack,
    fields: Object.fromEntries(fields),
    cause: cause === undefined ? undefined : carry(cause),
  }
}

export function uncarry(carried: CarriedError): Error {
  const { message, stack, name, fields } = carried
  const cause = carried.cause && uncarry(carried.cause)
  const error = new Error(message, cause && { cause })
  return Object.assign(error, fields, { name, stack })
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
