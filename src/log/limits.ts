import {
  AUTHOR_BYTES_MAX,
  checkBytes,
  checkInteger,
  checkMs,
  checkText,
  GROUP_BYTES_MAX,
  SIGNATURE_BYTES_MAX,
} from '../bounds.ts'
import { EntryTooLarge, type LogErrorOptions } from './errors.ts'
import type { Cursor, LogInit, NewEntry } from './log.ts'

/** The largest payload of an entry, and the largest notice, unless the backend was told otherwise. */
export const ENTRY_BYTES_DEFAULT = 16 * 1024 * 1024
/** A marker with its electorate, and an announcement with 64 offers and some 30 addresses, fit into so much. */
export const ENTRY_BYTES_MIN = 4 * 1024
/** What one command sets must fit into one item of a snapshot, which has 32 MiB at most. */
export const ENTRY_BYTES_MAX = 31 * 1024 * 1024
/** The longest life of a notice: a bucket of NATS forgets what is older. A group's leases are no longer either. */
export const NOTICE_TTL_MS_MAX = 60 * 60 * 1000
/** A batch handed to a reader holds at most so many entries. */
export const BATCH_ENTRIES_MAX = 1024
/** A batch ends before it holds more payload than this, but has at least one entry. */
export const BATCH_BYTES_MAX = 512 * 1024

/** Throws for what no log may be opened with. */
export function checkInit({ group, signature, author }: LogInit): void {
  checkText('group', group, GROUP_BYTES_MAX)
  checkText('signature', signature, SIGNATURE_BYTES_MAX)
  checkText('author', author, AUTHOR_BYTES_MAX, 0)
}

/** Throws for an entry size that no backend may be given. */
export function checkEntryBytes(maxEntryBytes: number | undefined): void {
  if (maxEntryBytes !== undefined) {
    checkInteger('maxEntryBytes', maxEntryBytes, ENTRY_BYTES_MIN, ENTRY_BYTES_MAX)
  }
}

/** Throws what `Log.append` promises for entries that no log may take. */
export function checkAppend(
  entries: readonly NewEntry[],
  maxEntryBytes: number,
  options?: LogErrorOptions,
): void {
  if (entries.length === 0) throw new RangeError('there is nothing to append: give at least one entry')
  for (const { payload } of entries) {
    checkBytes('payload', payload)
    const { byteLength } = payload
    if (byteLength > maxEntryBytes) throw new EntryTooLarge(byteLength, maxEntryBytes, options)
  }
}

/** Throws for a place that no entry can have. */
export function checkCursor({ index }: Cursor): void {
  checkInteger('cursor.index', index, 0)
}

/** Throws for a notice that no board may take. */
export function checkNotice(
  member: string,
  data: Uint8Array,
  ttlMs: number,
  maxEntryBytes: number,
  options?: LogErrorOptions,
): void {
  checkText('member', member, AUTHOR_BYTES_MAX, 0)
  checkMs('ttlMs', ttlMs, 0, NOTICE_TTL_MS_MAX)
  checkBytes('data', data)
  if (data.byteLength <= maxEntryBytes) return
  throw new EntryTooLarge(data.byteLength, maxEntryBytes, { ...options, what: 'a notice' })
}

/** Throws for a place up to which this log cannot be pruned. */
export function checkPrune(upTo: number, newest: number): void {
  if (!Number.isSafeInteger(upTo) || upTo < 0 || upTo > newest)
    throw new RangeError(`the log can be pruned up to an index from 0 to its newest, ${newest}, not ${upTo}`)
}
