import { TIMER_MS_MAX } from '../bounds.ts'

/**
 * Where time comes from. Everything that waits takes one, so that a whole group can run under a virtual
 * clock.
 */
export interface Clock {
  /**
   * Milliseconds from an arbitrary origin, which never go back or jump. For deadlines within this process.
   */
  now(): number
  /** Milliseconds since 1970 by the wall clock, which may jump. Only for times that outlive this process. */
  wallNow(): number
  /**
   * Run `callback` once, `delayMs` from now, unless it is cancelled. A negative delay is none. Never keeps
   * the process from ending.
   */
  schedule(delayMs: number, callback: () => void): Timer
  /** Resolves in a later turn of the event loop. Work in slices awaits it between two slices. */
  turn(): Promise<void>
}

/** What `Clock.schedule` gives, to call it off. */
export interface Timer {
  /** Call it off. If it has run, or was called off before, nothing happens. */
  cancel(): void
}

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  schedule(delayMs, callback) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number) => {
      // A timer of Node's that is longer than this runs at once.
      const stepMs = Math.min(Math.max(0, leftMs), TIMER_MS_MAX)
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : callback()), stepMs)
      timer.unref()
    }
    wait(delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** A signal that aborts with a `TimeoutError` after a time, unless it is disposed of first. */
export class Deadline implements Disposable {
  readonly signal: AbortSignal
  readonly #timer: Timer

  constructor(clock: Clock, afterMs: number) {
    const over = new AbortController()
    this.signal = over.signal
    this.#timer = clock.schedule(afterMs, () =>
      over.abort(new DOMException(`it took more than ${afterMs} ms`, 'TimeoutError')),
    )
  }

  [Symbol.dispose](): void {
    this.#timer.cancel()
  }
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
