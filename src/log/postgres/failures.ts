import { DatabaseError } from 'pg'
import { AnchorageError } from '../../errors.ts'
import { asError } from '../../thrown.ts'
import { EpochChanged, LogBusy, LogDamaged, LogRefused, LogUnavailable, LogUnusable } from '../errors.ts'

/** SQLSTATE of the errors that are told apart, and the first two digits of classes of them. */
const READ_ONLY = '25006'
const DUPLICATE = '23505'
const PERMISSION_DENIED = '42501'
const LOCK_NOT_AVAILABLE = '55P03'
const MISSING = new Set(['42P01' /* table */, '3F000' /* schema */])
const OTHER_COLUMNS = '42703'
/** The transaction was undone for the sake of others, and may be repeated at once. */
const UNDONE = new Set(['40001', '40P01'])
const DAMAGED = new Set(['XX001', 'XX002'])
/** The server ends, begins, has no room, or takes no writes any more: another one, or a later try, may do. */
const PASSING = new Set([
  '57P01' /* it shuts down */,
  '57P02' /* another process of it crashed */,
  '57P03' /* it starts */,
  '57P05' /* it was idle for too long */,
  '57014' /* the statement was cancelled, or took too long */,
  READ_ONLY,
  '53300' /* it has too many connections */,
])
const PASSING_CLASSES = new Set(['08' /* connection */, '53' /* resources */, '58' /* system */])
const NO_DATABASE = '3D000'
/** The class of its errors. */
const AUTHORIZATION = '28'

/** The SQLSTATE, if the server answered with an error. */
export function sqlstate(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined
}

/** Whether the schema, or a table in it, does not exist. */
export function isMissing(error: unknown): boolean {
  return MISSING.has(sqlstate(error) ?? '')
}

/** Whether a lock was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  return sqlstate(error) === LOCK_NOT_AVAILABLE
}

/** Whether another made the same at the same time. */
export function isDuplicate(error: unknown): boolean {
  return sqlstate(error) === DUPLICATE
}

/** Whether nothing was written, and the statement may be repeated at once. */
export function wasUndone(error: unknown): boolean {
  return UNDONE.has(sqlstate(error) ?? '')
}

/** Whether the server became a standby. */
export function isReadOnly(error: unknown): boolean {
  return sqlstate(error) === READ_ONLY
}

/**
 * Whether the server answered that it did nothing. After another error, such as a lost connection, a statement
 * may have been carried out.
 */
export function isAnswer(error: unknown): boolean {
  if (error instanceof EpochChanged) return true
  const code = sqlstate(error)
  return code !== undefined && !['57P01', '57P02', '57P05'].includes(code) && !code.startsWith('08')
}

/** What the log says in place of an error of the client or the server. */
export function failure(error: unknown, place: string, waitedMs: number): Error {
  if (error instanceof AnchorageError || (error instanceof DOMException && error.name === 'AbortError'))
    return error
  const { message } = asError(error)
  const options = { place, cause: error }
  const code = sqlstate(error)
  if (code === undefined) return ofConnection(error, place)
  if (PASSING.has(code) || PASSING_CLASSES.has(code.slice(0, 2)) || UNDONE.has(code))
    return new LogUnavailable(message, options)
  if (code === LOCK_NOT_AVAILABLE) return new LogBusy(waitedMs, options)
  if (code === PERMISSION_DENIED) return new LogRefused(`${message}: ${GRANTS}`, options)
  if (code === NO_DATABASE)
    return new LogRefused(
      `${message}: make it (CREATE DATABASE), or name another in the connection string`,
      options,
    )
  if (code.startsWith(AUTHORIZATION))
    return new LogRefused(`the server refuses: ${message}; ${CREDENTIALS}`, options)
  if (DAMAGED.has(code))
    return new LogDamaged(`the database is damaged: ${message}; restore a backup`, options)
  if (code === OTHER_COLUMNS)
    return new LogUnusable(`its tables are not those of this version: ${message}`, options)
  return new LogUnusable(`the server does not carry a statement out: ${message}`, options)
}

const CREDENTIALS =
  'look at the user and the password of the connection string (or PGUSER, PGPASSWORD, ~/.pgpass), and at pg_hba.conf'
const GRANTS = 'let the owner of the schema grant it, as "Privileges" in docs/backends/postgres.md lists them'

function ofConnection(error: unknown, place: string): Error {
  const { message } = asError(error)
  const { code } = error as NodeJS.ErrnoException
  const options = { place, cause: error }
  if (typeof code === 'string' && /CERT|TLS|SSL|VERIFY/.test(code))
    return new LogRefused(`the server is not trusted: ${message}`, options)
  if (/SSL|SASL|password|SCRAM/i.test(message))
    return new LogRefused(`the server refuses: ${message}`, options)
  return new LogUnavailable(message || code, options)
}
