import { PRESENCE_TTL_MS_MAX } from '../../../log/limits.ts'
import { isFresh, type Presence, Sightings } from '../../../log/presence.ts'
import type { LogKind } from './reach.ts'

interface Row {
  readonly data: Uint8Array
  readonly ttlMs: number
  /** By the clock of who wrote it. */
  readonly atMs: number
  readonly version: number
}

/**
 * The presences, in a table of a local log or in a bucket of servers. A row's version is its time in the
 * table, and the number of its change in the bucket. The table loses rows after their TTL when somebody
 * announces, the bucket loses them after an hour.
 */
export class PresenceTable {
  readonly #kind: LogKind
  readonly #rows = new Map<string, Row>()
  readonly #sightings = new Sightings()
  #sequence = 0
  #changes = 0

  constructor(kind: LogKind) {
    this.#kind = kind
  }

  /** Counts the changes. */
  get changes(): number {
    return this.#changes
  }

  /** @param nowMs the world's time, which no clock's step changes */
  announce(member: string, data: Uint8Array, ttlMs: number, wallMs: number, nowMs: number): void {
    this.#changes++
    const atMs = Math.floor(wallMs)
    const before = this.#rows.get(member)?.version ?? 0
    const version = this.#kind === 'local' ? Math.max(atMs, before + 1) : ++this.#sequence
    if (this.#kind === 'local') this.#sweep(wallMs, nowMs)
    this.#rows.set(member, { data: data.slice(), ttlMs, atMs, version })
  }

  /** Returns whether there was one. */
  withdraw(member: string): boolean {
    if (!this.#rows.delete(member)) return false
    this.#changes++
    this.#sequence++
    return true
  }

  read(wallMs: number): Presence[] {
    const presences: Presence[] = []
    for (const [member, { data, ttlMs, atMs, version }] of this.#rows) {
      const ageMs = Math.floor(wallMs) - atMs
      if (this.#kind === 'service' && ageMs > PRESENCE_TTL_MS_MAX) this.#rows.delete(member)
      else presences.push({ member, data, ttlMs, ageMs, version })
    }
    return presences
  }

  /** All are lost. Servers make the bucket anew, and count from 1 again. */
  clear(): void {
    this.#rows.clear()
    this.#sequence = 0
    this.#changes++
  }

  #sweep(wallMs: number, nowMs: number): void {
    for (const presence of this.#sightings.look(this.read(wallMs), nowMs))
      if (!isFresh(presence)) this.#rows.delete(presence.member)
  }
}
