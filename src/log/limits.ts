import {
  AUTHOR_BYTES_MAX,
  checkBytes,
  checkInteger,
  checkMs,
  checkText,
  GROUP_BYTES_MAX,
  OLDER_MAX,
  SIGNATURE_BYTES_MAX,
} from '../bounds.ts'
import type { Upgrade } from './binding.ts'
import { EntryTooLarge, type LogErrorOptions } from './errors.ts'
import type { Cursor, EntryKind, LogInit, NewEntry } from './log.ts'

/** The largest payload of an entry, and the largest presence, by default, in bytes. */
export const ENTRY_BYTES_DEFAULT = 16 * 1024 * 1024
/**
 * The smallest limit of entries, in bytes. A marker with its electorate fits, and so does an announcement
 * with 64 offers and some 30 addresses.
 */
export const ENTRY_BYTES_MIN = 4 * 1024
/**
 * The greatest limit of entries, in bytes. What one command sets must fit into one item of a snapshot, of at
 * most 32 MiB.
 */
export const ENTRY_BYTES_MAX = 31 * 1024 * 1024
/**
 * The longest TTL of a presence, in milliseconds: a bucket of NATS forgets older values. A group's lease is
 * no longer either.
 */
export const PRESENCE_TTL_MS_MAX = 60 * 60 * 1000
/** The most entries of a batch that a reader gets. */
export const BATCH_ENTRIES_MAX = 1024
/** The most payload of a batch, in bytes. A batch has at least one entry, of any size. */
export const BATCH_BYTES_MAX = 512 * 1024

/**
 * Throws for parameters with which no log may be opened.
 *
 * @param create whether a log is made if there is none
 */
export function checkInit(
  { group, signature, older = [], author, ...init }: LogInit,
  create: boolean = init.create !== false,
): void {
  checkText('group', group, GROUP_BYTES_MAX)
  checkText('author', author, AUTHOR_BYTES_MAX, 0)
  if (signature !== undefined) checkText('signature', signature, SIGNATURE_BYTES_MAX)
  else if (create) {
    throw new RangeError(
      'signature is not given, and no log can be made without: give it, or open an existing log with create: false',
    )
  }
  if (!Array.isArray(older) || older.length > OLDER_MAX) {
    throw new RangeError(`older is no list of at most ${OLDER_MAX} signatures; give one`)
  }
  for (const each of older) checkText('a signature in older', each, SIGNATURE_BYTES_MAX)
}

/** Throws for a version that no log may be told of. */
export function checkUpgrade({ signature, at }: Upgrade): void {
  checkText('signature', signature, SIGNATURE_BYTES_MAX)
  checkInteger('at', at, 0)
}

/** Throws for an entry limit that no backend may have. */
export function checkEntryBytes(maxEntryBytes: number | undefined): void {
  if (maxEntryBytes !== undefined) {
    checkInteger('maxEntryBytes', maxEntryBytes, ENTRY_BYTES_MIN, ENTRY_BYTES_MAX)
  }
}

/**
 * Throws for entries that no log may take, as `Log.append` documents.
 *
 * @param options with `hasMessages` if the log is a stream that others write too; and the place
 */
export function checkAppend(
  entries: readonly NewEntry[],
  maxEntryBytes: number,
  options?: LogErrorOptions & { readonly hasMessages?: boolean },
): void {
  if (entries.length === 0) throw new RangeError('there is nothing to append: give at least one entry')
  const hasMessages = options?.hasMessages ?? false
  for (const { kind, payload, message } of entries) {
    checkBytes('payload', payload)
    if ((message !== undefined) !== (hasMessages && kind === 'command')) throw misplaced(kind, hasMessages)
    const { byteLength } = payload
    if (byteLength > maxEntryBytes) throw new EntryTooLarge(byteLength, maxEntryBytes, options)
  }
}

function misplaced(kind: EntryKind, hasMessages: boolean): RangeError {
  if (!hasMessages) return new RangeError('this log is no stream of messages: give no subject')
  return new RangeError(
    kind === 'command'
      ? 'this log is a stream that others write too: give the subject on which the command is published'
      : "an entry of the group's own has no subject: give none",
  )
}

/** Throws for a cursor at which no entry can be. */
export function checkCursor({ index }: Cursor): void {
  checkInteger('cursor.index', index, 0)
}

/** Throws for a presence that no presence store may take. */
export function checkPresence(
  member: string,
  data: Uint8Array,
  ttlMs: number,
  maxEntryBytes: number,
  options?: LogErrorOptions,
): void {
  checkText('member', member, AUTHOR_BYTES_MAX, 0)
  checkMs('ttlMs', ttlMs, 0, PRESENCE_TTL_MS_MAX)
  checkBytes('data', data)
  if (data.byteLength <= maxEntryBytes) return
  throw new EntryTooLarge(data.byteLength, maxEntryBytes, { ...options, what: 'a notice' })
}

/** Throws for an index up to which this log cannot be pruned. */
export function checkPrune(upTo: number, newest: number): void {
  if (!Number.isSafeInteger(upTo) || upTo < 0 || upTo > newest)
    throw new RangeError(`the log can be pruned up to an index from 0 to its newest, ${newest}, not ${upTo}`)
}
