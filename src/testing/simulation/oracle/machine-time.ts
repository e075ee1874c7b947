const WEEK_MS = 7 * 24 * 60 * 60 * 1_000
const SECOND_MS = 1_000
const CLOCKS = 8

interface SeenClock {
  latestMs: number
  /** The time by this clock at that timestamp. */
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
    const clock = this.#clockOf(stampMs)
    if (clock === undefined) {
      if (this.#clocks.length === CLOCKS) this.#forget()
      this.#clocks.push({ latestMs: stampMs, timeMs: this.#timeMs, entry })
      return this.#timeMs
    }
    clock.entry = entry
    if (stampMs <= clock.latestMs) return this.#timeMs
    clock.timeMs += stampMs - clock.latestMs
    clock.latestMs = stampMs
    this.#timeMs = Math.max(this.#timeMs, clock.timeMs)
    return this.#timeMs
  }

  /**
   * Of the clocks that were read up to a week before, or a second after: the one by which it is now what is
   * nearest to machine time. None by which it is more than a second ago. Of two equal ones, that which was
   * read last.
   */
  #clockOf(stampMs: number): SeenClock | undefined {
    return this.#clocks
      .map((clock) => ({ clock, passedMs: stampMs - clock.latestMs }))
      .filter(({ passedMs }) => passedMs >= -SECOND_MS && passedMs <= WEEK_MS)
      .map(({ clock, passedMs }) => ({ clock, aheadMs: clock.timeMs + passedMs - this.#timeMs }))
      .filter(({ aheadMs }) => aheadMs >= -SECOND_MS)
      .sort((a, b) => Math.abs(a.aheadMs) - Math.abs(b.aheadMs) || b.clock.entry - a.clock.entry)[0]?.clock
  }

  /** The clock that was not read for longest. */
  #forget(): void {
    const oldest = Math.min(...this.#clocks.map(({ entry }) => entry))
    this.#clocks = this.#clocks.filter(({ entry }) => entry !== oldest)
  }
}
