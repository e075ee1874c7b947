import type { SignalOptions } from './log.ts'

/** What one member wrote on the board, as seen when it was read. */
export interface Presence {
  readonly member: string
  readonly data: Uint8Array
  /** How long the notice was to live when it was written. */
  readonly ttlMs: number
  /**
   * How old it is by the backend's clock, which may have been put forward or back since: negative, or years. `Sightings` makes an
   * age of it that can be relied on.
   */
  readonly ageMs: number
  /** Another one after each announcement of this member, also where it said the same again. */
  readonly version: number
}

/**
 * Where the members of a group tell each other about themselves. One notice a member; a newer replaces the older.
 * A notice whose TTL is over may stay on the board for a while. Readers judge for themselves who is still there: see `Sightings`.
 */
export interface PresenceStore {
  /** Write or replace this member's notice. */
  announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void>
  /** Take this member's notice down. Nothing happens if there is none. */
  withdraw(member: string, options?: SignalOptions): Promise<void>
  /** All notices on the board. */
  read(options?: SignalOptions): Promise<Presence[]>
  /**
   * The notices now, and again after each announcement or withdrawal by anyone; several changes may be seen
   * as one. An expiry alone does not wake it. Ends when the signal aborts.
   */
  watch(options?: SignalOptions): AsyncIterable<Presence[]>
}

/** When a notice was written, by a clock of the reader's that never jumps. */
interface Sighting {
  readonly version: number
  readonly writtenMs: number
}

/**
 * How old the notices on a board are, by the clock of whoever reads it. A notice that has not changed since it was first seen ages on
 * that clock, whatever happens to the wall clock that stamped it: no step keeps the dead there, nor takes the living away. The
 * backend's age counts at the first sight only, and bounded: what was not on the board at the last look was written since.
 */
export class Sightings {
  #seen = new Map<string, Sighting>()
  #lookedMs = Number.NEGATIVE_INFINITY

  /**
   * The notices that are on the board now, with their ages; those that have reached their TTL too.
   * @param nowMs milliseconds that never jump, from any origin
   */
  look(notices: readonly Presence[], nowMs: number): Presence[] {
    const sinceMs = nowMs - this.#lookedMs
    const seen = new Map<string, Sighting>()
    const aged = notices.map((notice) => {
      const { member, version, ageMs } = notice
      const before = this.#seen.get(member)
      const sighting =
        before?.version === version
          ? before
          : { version, writtenMs: nowMs - Math.min(Math.max(0, ageMs), sinceMs) }
      seen.set(member, sighting)
      return { ...notice, ageMs: nowMs - sighting.writtenMs }
    })
    this.#seen = seen
    this.#lookedMs = nowMs
    return aged
  }
}

/** Its TTL is not over. */
export function isFresh({ ageMs, ttlMs }: Pick<Presence, 'ageMs' | 'ttlMs'>): boolean {
  return ageMs < ttlMs
}
