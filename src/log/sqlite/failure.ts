import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { asError } from '../../thrown.ts'
import { LogDamaged, LogUnusable } from '../errors.ts'

// SQLite's primary result codes (https://www.sqlite.org/rescode.html).
const SQLITE_PERM = 3
const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_PROTOCOL = 15
export const SQLITE_NOTADB = 26
/** An extended code: the -wal has fewer bytes than its index says. */
const SQLITE_IOERR_SHORT_READ = 522

/**
 * With less room than this on the disk, in bytes, SQLite's I/O error counts as a full disk: -shm grows by 32
 * KiB.
 */
const ROOM_BYTES_MIN = 64 * 1024

/**
 * The error that this folder throws. SQLite's own errors become a sentence for the file's owner, others stay
 * as they are.
 */
export function failure(path: string, what: string, error: unknown): unknown {
  if (sqliteCode(error) === undefined || isBusy(error)) return error
  if ((error as { errcode?: number }).errcode === SQLITE_IOERR_SHORT_READ && isGone(`${path}-wal`))
    return busy('the -wal was taken away, and what it held is not in the file yet', error)
  return unusable(path, what, error)
}

/** An error after which another try may succeed. */
export function busy(why: string, cause?: unknown): Error {
  return Object.assign(new Error(why, { cause }), { errcode: SQLITE_BUSY })
}

function isGone(path: string): boolean {
  try {
    return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0
  } catch {
    return false
  }
}

/** Why SQLite failed, in a sentence that says what to do. */
export function reason(path: string, error: unknown): string {
  const why = asError(error).message
  const code = sqliteCode(error) ?? (error as NodeJS.ErrnoException | undefined)?.code
  if (code === 'ENOSPC' || isFull(path, error))
    return `${why}${code === SQLITE_IOERR ? ': the disk is full' : ''}; make room on the disk`
  if (isForbidden(error) || code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `${why}; this user needs permission to write the file and its folder, where -wal and -shm are made`
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB)
    return `${why}; restore a backup, and remove ${path}-wal and ${path}-shm before that: a -wal of another file, played into a backup, is the likely cause`
  const extended = (error as { errcode?: number } | undefined)?.errcode
  return `${why}${extended === undefined ? '' : ` (SQLite's code ${extended})`}; see to the file, its disk and its permissions`
}

export function unusable(path: string, what: string, error: unknown): LogUnusable {
  const code = sqliteCode(error)
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) return damaged(path, error)
  return new LogUnusable(`${what}: ${reason(path, error)}`, { place: path, cause: error })
}

export function damaged(path: string, cause: unknown): LogDamaged {
  const why = cause instanceof NotALog ? NOT_A_LOG : reason(path, cause)
  return new LogDamaged(`the file is damaged: ${why}`, { place: path, cause })
}

/** True if another connection holds a lock that this one needs. Another try may succeed. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_BUSY || code === SQLITE_PROTOCOL
}

/** True if this user lacks the permission. Opening with fewer rights may still succeed. */
export function isForbidden(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_PERM || code === SQLITE_READONLY || code === SQLITE_CANTOPEN
}

/**
 * True if the disk is full. If it is too full for -shm, SQLite reports an I/O error, so look at the disk
 * then.
 */
export function isFull(path: string, error: unknown): boolean {
  const code = sqliteCode(error)
  if (code !== SQLITE_IOERR) return code === SQLITE_FULL
  try {
    const { bavail, bsize } = statfsSync(dirname(path))
    return bavail * bsize < ROOM_BYTES_MIN
  } catch {
    return false
  }
}

/** SQLite's primary result code; undefined for an error that is not SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error && 'errcode' in error && typeof error.errcode === 'number')) return undefined
  return error.errcode & 0xff
}

const NOT_A_LOG = 'it is not a log but some other file'

/** The file at the path is no log of ours. */
export class NotALog extends LogUnusable {
  constructor(path: string) {
    super(`${NOT_A_LOG}: choose another path, or move it away`, { place: path })
  }
}
