const WEEK_MS = 7 * 24 * 60 * 60 * 1_000
const SECOND_MS = 1_000
const CLOCKS = 8

interface SeenClock {
  latestMs: number
  /** Machine time when it was read last and had moved. */
  timeMs: number
  /** The number of the entry that it stamped last. */
  entry: number
}

/**
 * Machine time as docs/expiry.md describes it, written without a look at the product's. Clocks are kept in no
 * order: each rule says by itself which clock it means.
 */
export class MachineTimeModel {
  #timeMs = 0
  #entries = 0
  #clocks: SeenClock[] = []

  get timeMs(): number {
    return this.#timeMs
  }

  /** The next entry's timestamp. Returns machine time after it. */
  add(timestampMs: number): number {
    const stampMs = Math.max(0, Math.floor(timestampMs))
    const entry = ++this.#entries
    if (this.#timeMs === 0) {
      this.#clocks = [{ latestMs: stampMs, timeMs: stampMs, entry }]
      this.#timeMs = stampMs
      return this.#timeMs
    }
    const clock = this.#before(stampMs) ?? this.#shortlyBehind(stampMs)
    if (clock === undefined) {
      if (this.#clocks.length === CLOCKS) this.#forget()
      this.#clocks.push({ latestMs: stampMs, timeMs: this.#timeMs, entry })
      return this.#timeMs
    }
    clock.entry = entry
    const passedMs = stampMs - clock.latestMs
    if (passedMs <= 0) return this.#timeMs
    this.#timeMs = Math.max(this.#timeMs, clock.timeMs + passedMs)
    clock.latestMs = stampMs
    clock.timeMs = this.#timeMs
    return this.#timeMs
  }

  /** The clock with the nearest latest timestamp before this one. Of two equal ones, that which was read last. */
  #before(stampMs: number): SeenClock | undefined {
    return this.#clocks
      .filter(({ latestMs }) => latestMs <= stampMs && stampMs - latestMs <= WEEK_MS)
      .sort((a, b) => b.latestMs - a.latestMs || b.entry - a.entry)[0]
  }

  /**
   * A clock that this timestamp is up to a second behind. It moves nothing, so which of several it is matters
   * only for what is forgotten: it is the one that was not read for longest.
   */
  #shortlyBehind(stampMs: number): SeenClock | undefined {
    return this.#clocks
      .filter(({ latestMs }) => latestMs > stampMs && latestMs - stampMs <= SECOND_MS)
      .sort((a, b) => a.entry - b.entry)[0]
  }

  /** The clock that was not read for longest. */
  #forget(): void {
    const oldest = Math.min(...this.#clocks.map(({ entry }) => entry))
    this.#clocks = this.#clocks.filter(({ entry }) => entry !== oldest)
  }
}
