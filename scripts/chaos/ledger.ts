import { createHash } from 'node:crypto'
import type { LogEntry } from '../../src/log/log.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { GroupModel } from '../../src/testing/simulation/oracle/group-model.ts'
import { MachineTimeModel } from '../../src/testing/simulation/oracle/machine-time.ts'
import { MapModel } from '../../src/testing/simulation/oracle/map-model.ts'

/** An entry, as far as writes are compared with it. */
export interface Recorded {
  readonly author: string
  /** The mark of the command; undefined for an entry of Anchorage's own. */
  readonly mark: string | undefined
  /** What applying it must have returned. */
  readonly result: unknown
  readonly timeMs: number
}

/** The group's markers are counted over this time. */
const MINUTE_MS = 60_000

/** Tells a command from others, however long it is. */
export function markOf(payload: Uint8Array): string {
  return createHash('sha256').update(payload).digest('base64')
}

/** What the log holds, read from outside, and what that comes to by models that are not the product's. */
export class Ledger {
  readonly group = new GroupModel(new ReplicatedMap().signature)
  readonly #map = new MapModel()
  readonly #time = new MachineTimeModel()
  #newest = 0
  #newestCommand = 0
  readonly #entries = new Map<number, Recorded>()
  readonly #placesOf = new Map<string, number[]>()
  #markersMs: number[] = []
  #markersAMinute = 0

  /** The index of the newest entry that was read. */
  get newest(): number {
    return this.#newest
  }

  /** The index of the newest command that was read. */
  get newestCommand(): number {
    return this.#newestCommand
  }

  /** The most markers that came within a minute. */
  get markersAMinute(): number {
    return this.#markersAMinute
  }

  add(entry: LogEntry): void {
    const { index, author, kind, payload, timestampMs } = entry
    if (index !== this.#newest + 1) throw new RangeError(`entry ${index} was read after ${this.#newest}`)
    this.#newest = index
    const timeMs = this.#time.add(timestampMs)
    if (kind === 'control') return this.#addControl(entry, timeMs)
    const mark = markOf(payload)
    const result = this.#map.apply(payload, { timeMs })
    this.#newestCommand = index
    this.#entries.set(index, { author, mark, result, timeMs })
    this.#placesOf.set(mark, [...this.placesOf(mark), index])
  }

  at(index: number): Recorded | undefined {
    return this.#entries.get(index)
  }

  /** The indexes of the entries with this command. */
  placesOf(mark: string): readonly number[] {
    return this.#placesOf.get(mark) ?? []
  }

  /**
   * Of the whole state at this machine time, after the newest command. No time comes before one that was
   * asked for.
   */
  digest(timeMs: number): string {
    return this.#map.digest(timeMs)
  }

  /** Nobody will ask for the entries up to this one. */
  forget(upTo: number): void {
    for (const [index, { mark }] of this.#entries) {
      if (index > upTo) break
      this.#entries.delete(index)
      if (mark !== undefined) this.#placesOf.delete(mark)
    }
  }

  #addControl(entry: LogEntry, timeMs: number): void {
    const { index, author } = entry
    const known = this.group.anchors.size
    this.group.apply(entry)
    this.#entries.set(index, { author, mark: undefined, result: undefined, timeMs })
    if (this.group.anchors.size === known) return
    this.#markersMs = [...this.#markersMs, timeMs].filter((markerMs) => markerMs > timeMs - MINUTE_MS)
    this.#markersAMinute = Math.max(this.#markersAMinute, this.#markersMs.length)
  }
}
