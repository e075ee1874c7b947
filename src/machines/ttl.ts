import { TTL_MS_MAX } from './limits.ts'

/** The time to live of what is written. */
export interface TtlOption {
  /**
   * How long what is written lives, in whole milliseconds from 1 to 2 ** 48 of machine time, beginning at the time
   * of the command's own log entry. Default: until it is deleted.
   */
  readonly ttlMs?: number | undefined
}

/** @throws {RangeError} for an impossible TTL. */
export function checkTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || (Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= TTL_MS_MAX)) return
  throw new RangeError(`ttlMs is ${ttlMs}; give whole milliseconds from 1 to ${TTL_MS_MAX}, or leave it out`)
}
