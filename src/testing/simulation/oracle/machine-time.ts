/** A clock that stamps entries, as far as its stamps tell. */
interface StampClock {
  /** Its newest stamp. */
  readonly stampMs: number
  /** Machine time at that stamp. */
  readonly timeMs: number
}

const WEEK_MS = 7 * 86_400_000
const SKEW_MS = 1_000
const CLOCKS = 8

/** Machine time after an entry, and the clocks that are known then, the one that was read last at the end. */
export interface Time {
  readonly timeMs: number
  readonly clocks: readonly StampClock[]
}

export const TIME_BEGINS: Time = { timeMs: 0, clocks: [] }

/**
 * Machine time after one more entry, from the rules that docs/architecture.md gives: time passes as it does
 * between two stamps of one clock. A stamp is of the clock with the nearest stamp before it, up to a week; else of
 * one that is up to a second ahead; else of a new clock, which does not move time. Eight clocks are known at most.
 */
export function timeAfter({ timeMs, clocks }: Time, timestampMs: number): Time {
  const stampMs = Math.max(0, Math.floor(timestampMs))
  if (timeMs === 0) return { timeMs: stampMs, clocks: [{ stampMs, timeMs: stampMs }] }
  const passed = (clock: StampClock) => stampMs - clock.stampMs
  const before = clocks.filter((clock) => passed(clock) >= 0 && passed(clock) <= WEEK_MS)
  const nearest = before.reduce<StampClock | undefined>(
    (best, clock) => (best === undefined || passed(clock) <= passed(best) ? clock : best),
    undefined,
  )
  const own = nearest ?? clocks.find((clock) => passed(clock) < 0 && passed(clock) >= -SKEW_MS)
  if (own === undefined) return { timeMs, clocks: [...clocks, { stampMs, timeMs }].slice(-CLOCKS) }
  const others = clocks.filter((clock) => clock !== own)
  if (stampMs <= own.stampMs) return { timeMs, clocks: [...others, own] }
  const nowMs = Math.max(timeMs, own.timeMs + passed(own))
  return { timeMs: nowMs, clocks: [...others, { stampMs, timeMs: nowMs }] }
}
