import * as errors from '../errors.ts'
import type { Cursor } from '../log.ts'
import type { Presence } from '../presence.ts'
import type { PackedAppend, PackedBatch } from './pack.ts'

/**
 * What a handle and its two threads say to each other. Every request carries a number; it is answered by one `value` or
 * `error` with that number. A stream is answered by items, each of which uses up one credit, and then by `value` or `error`.
 */
export interface ReaderInit {
  readonly path: string
  readonly lockTimeoutMs: number
  readonly pollMs: number
}

export interface WriterInit {
  readonly path: string
  readonly lockTimeoutMs: number
  readonly epoch: string
  readonly author: string
}

export type ReaderRequest =
  | { readonly type: 'open'; readonly group: string; readonly signature: string; readonly create: boolean }
  | { readonly type: 'bounds' }
  | { readonly type: 'notices' }
  | { readonly type: 'entries'; readonly cursor: Cursor; readonly follow: boolean }
  | { readonly type: 'board' }

export type WriterRequest =
  | { readonly type: 'append'; readonly entries: PackedAppend }
  | { readonly type: 'prune'; readonly upTo: number }
  | { readonly type: 'announce'; readonly member: string; readonly data: Uint8Array; readonly ttlMs: number }
  | { readonly type: 'withdraw'; readonly member: string }

export type Message<Request> =
  | { readonly type: 'request'; readonly call: number; readonly request: Request }
  | { readonly type: 'credit'; readonly call: number }
  | { readonly type: 'cancel'; readonly call: number }
  /** Something was committed by this handle: look now. */
  | { readonly type: 'look' }
  /** Settle what was asked, close the file, and end the thread. */
  | { readonly type: 'close' }

export type StreamItem = PackedBatch | Presence[]

export type Reply =
  | { readonly type: 'value'; readonly call: number; readonly value: unknown }
  | { readonly type: 'error'; readonly call: number; readonly error: CarriedError }
  | { readonly type: 'item'; readonly call: number; readonly item: StreamItem }

/** A stream's first credit: so many items are made before the consumer has asked for the next. */
export const PREFETCH_ITEMS = 2

/** An error on its way between threads: as cloned it is a plain `Error`, so what makes it ours travels beside it. */
export interface CarriedError {
  readonly error: Error
  readonly fields: Readonly<Record<string, unknown>>
}

export function carry(error: Error): CarriedError {
  return { error, fields: { ...error, name: error.name } }
}

/** Gives a carried error its class back. */
export function uncarry({ error, fields }: CarriedError): Error {
  const kind = Object.entries(errors).find(([name]) => name === fields.name)?.[1]
  if (kind) Object.setPrototypeOf(error, kind.prototype)
  else if (fields.name === 'RangeError') Object.setPrototypeOf(error, RangeError.prototype)
  return Object.assign(error, fields)
}
