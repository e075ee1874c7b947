import type { Clock } from '../time/clock.ts'

/** A problem that stays is told again after this long, in milliseconds. The pause then doubles each time. */
const AGAIN_FIRST_MS = 5_000
/** The longest such pause, in milliseconds: a problem that lasts for days is a line every five minutes. */
const AGAIN_LAST_MS = 300_000
/** Problems that are remembered. Of more at once, the oldest count as new. */
const REMEMBERED_MAX = 64

interface Told {
  readonly atMs: number
  readonly pauseMs: number
}

/**
 * Decides which problems are worth telling. A failed action is tried again within seconds, by several parts
 * of a replica, and mostly fails in the same way. A reader needs to know that once, and from time to time
 * that it still does.
 */
export class Problems {
  readonly #clock: Clock
  readonly #told = new Map<string, Told>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True for a problem that is new, or was told long enough ago. */
  isNews({ name, message }: Error): boolean {
    // A number in the message, such as a time or an attempt, makes it no other problem.
    const key = `${name}: ${message.replace(/\d+/g, '#')}`
    const nowMs = this.#clock.now()
    const told = this.#told.get(key)
    const sinceMs = told === undefined ? Number.POSITIVE_INFINITY : nowMs - told.atMs
    if (told !== undefined && sinceMs < told.pauseMs) return false
    const isOver = told === undefined || sinceMs >= 2 * told.pauseMs + AGAIN_FIRST_MS
    const pauseMs = isOver ? AGAIN_FIRST_MS : Math.min(2 * told.pauseMs, AGAIN_LAST_MS)
    this.#told.delete(key)
    this.#told.set(key, { atMs: nowMs, pauseMs })
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= REMEMBERED_MAX) break
      this.#told.delete(oldest)
    }
    return true
  }
}
