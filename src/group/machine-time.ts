/**
 * The longest pause between two entries that counts as time, in milliseconds: a week, so that a group may be
 * down over a few free days. A longer pause is taken for a wrong clock: otherwise one writer in the year 2099
 * would kill every key that has a TTL.
 */
export const PAUSE_MS_MAX = 7 * 24 * 3_600_000
/**
 * The clocks of two writers that are right differ by less than this. An entry that is behind by at most this
 * much belongs to the same clock, and the latest timestamp counts.
 */
const SKEW_MS_MAX = 1_000
/**
 * The most clocks that are told apart at once. Beyond it the clock that was not read for longest is
 * forgotten; it counts as new when it is read again.
 */
const CLOCKS_MAX = 8

/** A clock that stamps entries: its latest timestamp, and the machine time at that timestamp. */
export interface StampedClock {
  readonly timestampMs: number
  readonly timeMs: number
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/**
 * Machine time, by which keys with a TTL die. It follows from the entries' timestamps alone, so all replicas
 * have the same machine time at one position. Only the time between two timestamps of one clock counts. A
 * timestamp belongs to a clock that was read up to a week before it: to the one by which it comes nearest to
 * the time that was reached. Where it would be more than a second in the past by every clock, or is too far
 * from all, it begins a new clock, which does not move time yet. So a clock may be wrong by years: time goes
 * on at its pace, whether that clock stays, is corrected, or takes turns with others.
 */
export class MachineTime {
  #timeMs: number
  /** Sorted by when each was last read, the latest at the end. */
  readonly #clocks: Writable<StampedClock>[]

  constructor(timeMs = 0, clocks: readonly StampedClock[] = []) {
    this.#timeMs = timeMs
    this.#clocks = (clocks.length > 0 ? clocks : [{ timestampMs: timeMs, timeMs }]).map((clock) => ({
      ...clock,
    }))
  }

  /**
   * Machine time in whole milliseconds. It never goes back. It is 0 before the first entry, whose timestamp
   * it takes over.
   */
  get ms(): number {
    return this.#timeMs
  }

  /**
   * The known clocks, for a snapshot. Empty if there is only one and its latest timestamp is machine time
   * itself.
   */
  get clocks(): readonly StampedClock[] {
    const [{ timestampMs, timeMs }, ...others] = this.#clocks as [StampedClock, ...StampedClock[]]
    return others.length === 0 && timestampMs === this.#timeMs && timeMs === this.#timeMs ? [] : this.#clocks
  }

  /** Take in an entry's timestamp. Returns whether machine time moved. */
  advance(timestampMs: number): boolean {
    const before = this.#timeMs
    const stampMs = Math.max(0, Math.floor(timestampMs))
    const clock = before === 0 ? this.#clocks[0] : this.#clockOf(stampMs)
    if (clock === undefined) {
      this.#clocks.push({ timestampMs: stampMs, timeMs: before })
      if (this.#clocks.length > CLOCKS_MAX) this.#clocks.shift()
      return false
    }
    if (clock !== this.#clocks.at(-1)) {
      this.#clocks.splice(this.#clocks.indexOf(clock), 1)
      this.#clocks.push(clock)
    }
    if (stampMs <= clock.timestampMs) return false
    const timeMs = timeOn(clock, stampMs)
    clock.timestampMs = stampMs
    clock.timeMs = timeMs
    this.#timeMs = Math.max(before, timeMs)
    return this.#timeMs > before
  }

  /**
   * The machine time after an entry with this timestamp. Undefined if the timestamp is more than a week ahead
   * of the newest entry and belongs to no known clock.
   */
  at(timestampMs: number): number | undefined {
    const stampMs = Math.floor(timestampMs)
    const clock = this.#clockOf(stampMs)
    if (clock !== undefined) return Math.max(this.#timeMs, timeOn(clock, stampMs))
    const isAhead = this.#timeMs > 0 && stampMs > this.#clocks.at(-1)!.timestampMs
    return isAhead ? undefined : this.#timeMs
  }

  /** The clock by which this timestamp comes nearest to the machine time that was reached. */
  #clockOf(stampMs: number): Writable<StampedClock> | undefined {
    let nearest: Writable<StampedClock> | undefined
    let nearestMs = Number.POSITIVE_INFINITY
    for (const clock of this.#clocks) {
      const passedMs = stampMs - clock.timestampMs
      if (passedMs < -SKEW_MS_MAX || passedMs > PAUSE_MS_MAX) continue
      const movesMs = timeOn(clock, stampMs) - this.#timeMs
      // By this clock it is long past: it is of another one.
      if (movesMs < -SKEW_MS_MAX || Math.abs(movesMs) > nearestMs) continue
      nearest = clock
      nearestMs = Math.abs(movesMs)
    }
    return nearest
  }
}

function timeOn({ timestampMs, timeMs }: StampedClock, stampMs: number): number {
  return timeMs + stampMs - timestampMs
}
