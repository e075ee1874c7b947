import type { SerializedError } from '../../serialized-error.ts'
import type { Upgrade } from '../binding.ts'
import type { Cursor, LogInit } from '../log.ts'
import type { Presence } from '../presence.ts'
import type { PackedAppend, PackedBatch } from './pack.ts'

/**
 * The messages between a handle and its thread. Every request has a number. Its answer is one `value` or
 * one `error` with that number. The answer to a request for a stream is items, each of which uses up one
 * credit, then `value` or `error`.
 */
export interface ThreadInit {
  readonly path: string
  readonly lockTimeoutMs: number
  readonly pollMs: number
  readonly author: string
  /** The epoch of the log, when this is not the handle's first thread. */
  readonly epoch?: string
}

/** A log is made if there is none and there is a signature to bind it to. */
export type OpenInit = Pick<LogInit, 'group' | 'signature' | 'older' | 'snapshot' | 'author'> & {
  readonly create: boolean
}

/** What a handle knows of the log that it opened. */
export interface Opened {
  readonly epoch: string
  readonly signature: string
  readonly upgraded: string | undefined
}

export type ReaderRequest =
  | { readonly type: 'open'; readonly init: OpenInit }
  | { readonly type: 'bounds' }
  | { readonly type: 'upgraded' }
  | { readonly type: 'notices' }
  | { readonly type: 'entries'; readonly cursor: Cursor; readonly follow: boolean }
  | { readonly type: 'board' }

/** If more is to come, the entries of the next request are written in the same transaction. */
export interface AppendRequest {
  readonly type: 'append'
  readonly entries: PackedAppend
  readonly isMoreToCome: boolean
}

export type WriterRequest =
  | AppendRequest
  | { readonly type: 'prune'; readonly upTo: number }
  | { readonly type: 'noteUpgrade'; readonly upgrade: Upgrade }
  | { readonly type: 'announce'; readonly member: string; readonly data: Uint8Array; readonly ttlMs: number }
  | { readonly type: 'withdraw'; readonly member: string }

export type LogRequest = ReaderRequest | WriterRequest

export type Message =
  | { readonly type: 'request'; readonly call: number; readonly request: LogRequest }
  | { readonly type: 'credit'; readonly call: number }
  | { readonly type: 'cancel'; readonly call: number }
  /** Settle all requests, close the file, and end the thread. */
  | { readonly type: 'close' }

export type StreamItem = PackedBatch | Presence[]

export type CallValue = readonly [call: number, value: unknown]

export type Reply =
  | { readonly type: 'value'; readonly call: number; readonly value: unknown }
  /** The values of several calls, in one message. */
  | { readonly type: 'values'; readonly values: readonly CallValue[] }
  | { readonly type: 'error'; readonly call: number; readonly error: SerializedError }
  | { readonly type: 'item'; readonly call: number; readonly item: StreamItem }

/** A stream's first credit: this many items are made before the consumer asks for more. */
export const PREFETCH_ITEMS = 2
