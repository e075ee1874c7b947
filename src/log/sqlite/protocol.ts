import * as errors from '../errors.ts'
import type { Cursor } from '../log.ts'
import type { Presence } from '../presence.ts'
import type { PackedAppend, PackedBatch } from './pack.ts'

/**
 * The messages between a handle and its two threads. Every request has a number. Its answer is one `value` or
 * one `error` with that number. The answer to a request for a stream is items, each of which uses up one
 * credit, then `value` or `error`.
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
  /** This handle has committed something: look now. */
  | { readonly type: 'look' }
  /** Settle all requests, close the file, and end the thread. */
  | { readonly type: 'close' }

export type StreamItem = PackedBatch | Presence[]

export type Reply =
  | { readonly type: 'value'; readonly call: number; readonly value: unknown }
  | { readonly type: 'error'; readonly call: number; readonly error: CarriedError }
  | { readonly type: 'item'; readonly call: number; readonly item: StreamItem }

/** A stream's first credit: this many items are made before the consumer asks for more. */
export const PREFETCH_ITEMS = 2

/**
 * An error on its way between threads: as cloned it is a plain `Error`, so what makes it ours travels beside
 * it.
 */
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
