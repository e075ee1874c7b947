/**
 * The longest pause between two entries that counts as time, in milliseconds: a week, so that a group may be down over a few free
 * days. What is longer is taken for a clock that is wrong: one writer in the year 2099 would kill every key that has a TTL.
 */
export const PAUSE_MS_MAX = 7 * 24 * 3_600_000
/** The clocks of two writers differ by less; of entries that are no further behind than this, the latest timestamp counts. */
const SKEW_MS_MAX = 1_000
/** Clocks that are told apart at once. The one that was not read for longest is forgotten, and is a new one when it is read again. */
const CLOCKS_MAX = 8

/** A clock that stamps entries: its latest timestamp, and what time it was by machine time then. */
export interface StampedClock {
  readonly timestampMs: number
  readonly timeMs: number
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/**
 * Machine time: what keys with a TTL die by. It follows from the entries' timestamps alone, so all replicas have the same at one
 * position. Only the time that passes between two timestamps of one clock counts. A timestamp belongs to the clock whose latest one is
 * the nearest before it, at most a week; otherwise to a clock that nobody has seen before, which moves nothing. So a clock may be
 * wrong by years: time goes on at its pace, whether that clock stays, is put right, or takes turns with others.
 */
export class MachineTime {
  #timeMs: number
  /** The one that was read last is at the end. */
  readonly #clocks: Writable<StampedClock>[]

  constructor(timeMs = 0, clocks: readonly StampedClock[] = []) {
    this.#timeMs = timeMs
    this.#clocks = (clocks.length > 0 ? clocks : [{ timestampMs: timeMs, timeMs }]).map((clock) => ({
      ...clock,
    }))
  }

  /** In whole milliseconds; never goes back. 0 before the first entry, whose timestamp it takes over. */
  get ms(): number {
    return this.#timeMs
  }

  /** None where there is one only, and time is what it says. */
  get clocks(): readonly StampedClock[] {
    const [{ timestampMs, timeMs }, ...others] = this.#clocks as [StampedClock, ...StampedClock[]]
    return others.length === 0 && timestampMs === this.#timeMs && timeMs === this.#timeMs ? [] : this.#clocks
  }

  /** An entry has this timestamp. Returns whether that moved time. */
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
    this.#timeMs = Math.max(before, timeOn(clock, stampMs))
    clock.timestampMs = stampMs
    clock.timeMs = this.#timeMs
    return this.#timeMs > before
  }

  /**
   * What time an entry of this timestamp would make it; undefined for one that is further ahead of the newest entry than a pause may
   * be, and of no clock that is known.
   */
  at(timestampMs: number): number | undefined {
    const stampMs = Math.floor(timestampMs)
    const clock = this.#clockOf(stampMs)
    if (clock !== undefined) return Math.max(this.#timeMs, timeOn(clock, stampMs))
    const isAhead = this.#timeMs > 0 && stampMs > this.#clocks.at(-1)!.timestampMs
    return isAhead ? undefined : this.#timeMs
  }

  #clockOf(stampMs: number): Writable<StampedClock> | undefined {
    let nearest: Writable<StampedClock> | undefined
    let nearestMs = PAUSE_MS_MAX
    for (const clock of this.#clocks) {
      const passedMs = stampMs - clock.timestampMs
      if (passedMs >= 0 && passedMs <= nearestMs) {
        nearest = clock
        nearestMs = passedMs
      } else if (passedMs < 0 && passedMs >= -SKEW_MS_MAX) nearest ??= clock
    }
    return nearest
  }
}

function timeOn({ timestampMs, timeMs }: StampedClock, stampMs: number): number {
  return timeMs + Math.max(0, stampMs - timestampMs)
}
