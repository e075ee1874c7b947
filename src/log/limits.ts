import { EntryTooLarge, type LogErrorOptions } from './errors.ts'
import type { NewEntry } from './log.ts'

/** The largest payload of an entry, and the largest notice, unless the backend was told otherwise. */
export const MAX_ENTRY_BYTES = 16 * 1024 * 1024
/** A batch handed to a reader holds at most so many entries. */
export const BATCH_ENTRIES_MAX = 1024
/** A batch ends before it holds more payload than this, but has at least one entry. */
export const BATCH_BYTES_MAX = 512 * 1024

/** Throws what `Log.append` promises for entries that no log may take. */
export function checkAppend(
  entries: readonly NewEntry[],
  maxEntryBytes: number,
  options?: LogErrorOptions,
): void {
  if (entries.length === 0) throw new RangeError('there is nothing to append: give at least one entry')
  for (const { payload } of entries) checkBytes(payload, maxEntryBytes, options)
}

/** Throws for a notice that no board may take. */
export function checkNotice(
  data: Uint8Array,
  ttlMs: number,
  maxEntryBytes: number,
  options?: LogErrorOptions,
): void {
  if (!(ttlMs >= 0)) throw new RangeError(`a notice's TTL is a number of milliseconds from 0, not ${ttlMs}`)
  checkBytes(data, maxEntryBytes, options)
}

/** Throws for a place up to which this log cannot be pruned. */
export function checkPrune(upTo: number, newest: number): void {
  if (!Number.isSafeInteger(upTo) || upTo < 0 || upTo > newest)
    throw new RangeError(`the log can be pruned up to an index from 0 to its newest, ${newest}, not ${upTo}`)
}

function checkBytes(bytes: Uint8Array, maxBytes: number, options?: LogErrorOptions): void {
  if (bytes.byteLength > maxBytes) throw new EntryTooLarge(bytes.byteLength, maxBytes, options)
}
