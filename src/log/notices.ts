import type { SignalOptions } from './log.ts'

/** What one member wrote on the board, as seen when it was read. */
export interface Notice {
  readonly member: string
  readonly data: Uint8Array
  /** How long the notice was to live when it was written. */
  readonly ttlMs: number
  /** How old it is, by the backend's clock. */
  readonly ageMs: number
}

/**
 * Where the members of a group tell each other about themselves. One notice a member; a newer replaces the older.
 * A notice whose age has reached its TTL is never returned.
 */
export interface NoticeBoard {
  /** Write or replace this member's notice. */
  announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void>
  /** Take this member's notice down. Nothing happens if there is none. */
  withdraw(member: string, options?: SignalOptions): Promise<void>
  /** All live notices. */
  read(options?: SignalOptions): Promise<Notice[]>
  /**
   * The live notices now, and again after each announcement or withdrawal by anyone; several changes may be seen
   * as one. An expiry alone does not wake it. Ends when the signal aborts.
   */
  watch(options?: SignalOptions): AsyncIterable<Notice[]>
}
