/** Where time comes from. Everything that waits takes one, so that a whole cluster can run under a virtual clock. */
export interface Clock {
  /** Milliseconds that never go back, from an arbitrary origin: for deadlines while this process lives. */
  now(): number
  /** Run `callback` once, `delayMs` from now. Never holds the process. Disposing the timer cancels it. */
  schedule(delayMs: number, callback: () => void): Timer
}

export interface Timer {
  cancel(): void
}

/** The machine's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
