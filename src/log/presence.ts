import type { SignalOptions } from './log.ts'

/** What one member told of itself, as seen when it was read. */
export interface Presence {
  readonly member: string
  readonly data: Uint8Array
  /** How long it was to live when it was written, in milliseconds. */
  readonly ttlMs: number
  /**
   * How old it is by the backend's clock. That clock may have been put forward or back since, so the age may be negative, or
   * years. `Sightings` makes an age of it that can be relied on.
   */
  readonly ageMs: number
  /** Another one after each announcement of this member, also where it said the same again. */
  readonly version: number
}

/**
 * Where the members of a group tell each other about themselves. Each has one presence; a newer one replaces it.
 * One whose TTL is over may stay for a while: readers judge for themselves who is still there, see `Sightings`.
 */
export interface PresenceStore {
  /** Write or replace this member's presence. */
  announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void>
  /** Take this member's presence away. Nothing happens if there is none. */
  withdraw(member: string, options?: SignalOptions): Promise<void>
  /** The presence of every member. */
  read(options?: SignalOptions): Promise<Presence[]>
  /**
   * The presences now, and again after each announcement or withdrawal by anyone; several changes may be seen as
   * one. An expiry alone does not wake it. Ends when the signal aborts.
   */
  watch(options?: SignalOptions): AsyncIterable<Presence[]>
}

/** When a presence was written, by a clock of the reader's that never jumps. */
interface Sighting {
  readonly version: number
  readonly writtenMs: number
}

/**
 * How old presences are, by the clock of the reader. One that has not changed since it was first seen ages on that
 * clock, whatever happens to the wall clock that stamped it: no step keeps the dead there, nor takes the living away.
 * The backend's age counts at the first sight only, and bounded: what was not there at the last look was written since.
 */
export class Sightings {
  #seen = new Map<string, Sighting>()
  #lookedMs = Number.NEGATIVE_INFINITY

  /**
   * The presences that are there now, with their ages; those that have reached their TTL too.
   * @param nowMs milliseconds that never jump, from any origin
   */
  look(presences: readonly Presence[], nowMs: number): Presence[] {
    const sinceMs = nowMs - this.#lookedMs
    const seen = new Map<string, Sighting>()
    const aged = presences.map((presence) => {
      const { member, version, ageMs } = presence
      const before = this.#seen.get(member)
      const sighting =
        before?.version === version
          ? before
          : { version, writtenMs: nowMs - Math.min(Math.max(0, ageMs), sinceMs) }
      seen.set(member, sighting)
      return { ...presence, ageMs: nowMs - sighting.writtenMs }
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
