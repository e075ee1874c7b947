import { TIMER_MS_MAX } from '../bounds.ts'

/** Where time comes from. Everything that waits takes one, so that a whole cluster can run under a virtual clock. */
export interface Clock {
  /** Milliseconds that never go back or jump, from an arbitrary origin: for deadlines while this process lives. */
  now(): number
  /** Milliseconds since the Unix epoch, as the wall clock says, which may jump: only for what outlives this process. */
  wallNow(): number
  /** Run `callback` once, `delayMs` from now (soon, if that has passed), unless it is cancelled. Never holds the process. */
  schedule(delayMs: number, callback: () => void): Timer
  /** Resolves in a later turn of the event loop: work in slices awaits it between two of them. */
  turn(): Promise<void>
}

export interface Timer {
  cancel(): void
}

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  schedule(delayMs, callback) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number) => {
      // Node's timers run at once when they are longer than this.
      const stepMs = Math.min(Math.max(0, leftMs), TIMER_MS_MAX)
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : callback()), stepMs)
      timer.unref()
    }
    wait(delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** Has a signal abort with a `TimeoutError` once a time is over, unless it is disposed of before. */
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
