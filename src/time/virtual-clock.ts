import { type Clock, systemClock, type Timer } from './clock.ts'

/**
 * A clock that stands still until it is moved, by a test or a simulation, or by a log, as machine time is.
 */
export class VirtualClock implements Clock {
  #nowMs = 0
  #wallAheadMs = 0
  #sequence = 0
  readonly #timers = new Map<number, { atMs: number; callback: () => void }>()

  now(): number {
    return this.#nowMs
  }

  wallNow(): number {
    return this.#nowMs + this.#wallAheadMs
  }

  schedule(delayMs: number, callback: () => void): Timer {
    const id = ++this.#sequence
    this.#timers.set(id, { atMs: this.#nowMs + Math.max(0, delayMs), callback })
    return { cancel: () => void this.#timers.delete(id) }
  }

  turn(): Promise<void> {
    return systemClock.turn()
  }

  /** Move time on. What falls due runs in order of time, and so does what it schedules within that time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    for (;;) {
      const due = this.#earliest(untilMs)
      if (due === undefined) break
      this.#timers.delete(due.id)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.callback()
    }
    this.#nowMs = untilMs
  }

  /** Set the wall clock forward, or back, as an operator or NTP does. Time itself stands still. */
  jumpWall(byMs: number): void {
    this.#wallAheadMs += byMs
  }

  #earliest(untilMs: number): { id: number; atMs: number; callback: () => void } | undefined {
    let found: { id: number; atMs: number; callback: () => void } | undefined
    for (const [id, timer] of this.#timers) {
      if (timer.atMs <= untilMs && (found === undefined || timer.atMs < found.atMs)) found = { id, ...timer }
    }
    return found
  }
}
