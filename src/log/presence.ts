import type { SignalOptions } from './signal-options.ts'

/** What one member announced, as it was read. */
export interface Presence {
  /** Whose it is: a PeerId. */
  readonly member: string
  /** What the member announced. */
  readonly data: Uint8Array
  /** Its time to live when it was written, in milliseconds. */
  readonly ttlMs: number
  /**
   * Its age by the backend's clock, in milliseconds. That clock may have been set since, so the age may be
   * negative, or years. `Sightings` computes an age that can be relied on.
   */
  readonly ageMs: number
  /** Changes with each announcement of this member, even if the data are the same. */
  readonly version: number
}

/**
 * Where the members of a group announce themselves to each other. Each member has one presence; a newer one
 * replaces it. An expired presence may stay for a while. Readers judge which are fresh with `Sightings`.
 */
export interface PresenceStore {
  /** Write or replace this member's presence. */
  announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void>
  /** Remove this member's presence. If there is none, nothing happens. */
  withdraw(member: string, options?: SignalOptions): Promise<void>
  /** The presence of every member. */
  read(options?: SignalOptions): Promise<Presence[]>
  /**
   * The presences now, and again after each announcement or withdrawal by any member. Several changes may
   * arrive as one. An expiry alone causes no item. Ends when the signal aborts.
   */
  watch(options?: SignalOptions): AsyncIterable<Presence[]>
}

/** When a presence was written, by the reader's own clock, which never jumps. */
interface Sighting {
  readonly version: number
  readonly writtenMs: number
}

/**
 * The age of presences, by the reader's own clock. A presence that has not changed ages on that clock from
 * the first sight on. So a step of the backend's wall clock neither keeps a dead member nor removes a living
 * one. The backend's age counts at the first sight only. It is bounded: a presence that was absent at the
 * last look was written since.
 */
export class Sightings {
  #seen = new Map<string, Sighting>()
  #lookedMs = Number.NEGATIVE_INFINITY

  /**
   * The presences with their reliable ages, including expired ones.
   *
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

/** Whether the TTL is not over yet. */
export function isFresh({ ageMs, ttlMs }: Pick<Presence, 'ageMs' | 'ttlMs'>): boolean {
  return ageMs < ttlMs
}
