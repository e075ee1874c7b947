import { checkMs } from '../bounds.ts'
import { AnchorageError } from '../errors.ts'
import { asError, warn } from '../thrown.ts'
import type { Clock, Timer } from './clock.ts'

/** What a `Ticker` is made of. */
export interface TickerInit {
  /** Says when a tick is due. */
  readonly clock: Clock
  /** Names the task in reports. */
  readonly label: string
  /** From one tick to the next, in milliseconds from 1 to 2^31 - 1. */
  readonly intervalMs: number
  /**
   * The work. Its signal aborts when the ticker ends. It must not wait for `now()` or `stop()` of its own
   * ticker.
   */
  readonly run: (signal: AbortSignal) => void | Promise<void>
  /**
   * Told of a failed run that nobody waited for. The ticker goes on. Default: a process warning,
   * `TickerFailed`.
   */
  readonly onError?: (error: Error, label: string) => void
  /** Ends the ticker, as `stop()` does. */
  readonly signal?: AbortSignal
}

/**
 * The ticker was stopped before the run that was asked for. If a signal ended it, the signal's reason is
 * given.
 */
export class TickerStopped extends AnchorageError {
  static override readonly code = 'TICKER_STOPPED'
  override readonly name = 'TickerStopped'
}

/** A ticker, or none where the configuration says `false` or nothing. */
export function startTicker(
  init: Omit<TickerInit, 'intervalMs'> & { readonly intervalMs: number | false | undefined },
): Ticker | undefined {
  const { intervalMs } = init
  return intervalMs === undefined || intervalMs === false ? undefined : new Ticker({ ...init, intervalMs })
}

/**
 * Runs a task at an interval and on request, never twice at once. The n-th tick is due n intervals after the
 * start. Ticks that fall into a run are skipped, and so are those that a blocked event loop missed.
 */
export class Ticker {
  readonly #init: TickerInit
  readonly #startMs: number
  readonly #stopping = new AbortController()
  #tick = 0
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  /** The run that follows the one going on, shared by all who asked for it meanwhile. */
  #next: PromiseWithResolvers<void> | undefined

  /** Starts it. Throws `RangeError` for an impossible interval. */
  constructor(init: TickerInit) {
    const { clock, label, intervalMs, signal } = init
    checkMs(`${label}: intervalMs`, intervalMs, 1)
    this.#init = init
    this.#startMs = clock.now()
    this.#arm()
    const end = () => this.#end(signal?.reason)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end, { signal: this.#stopping.signal })
  }

  /**
   * Run without waiting for the interval. Resolves when a run that began after this call is done. Rejects if
   * that run fails or the ticker ends first. Such a failure is the caller's and is not reported.
   */
  now(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(this.#stopping.signal.reason)
    if (this.#running === undefined) return this.#begin(Promise.withResolvers())
    this.#next ??= Promise.withResolvers()
    return this.#next.promise
  }

  /**
   * As `now()`, but nobody waits: a failure is reported, and the next tick tries again. Nothing once stopped.
   */
  soon(): void {
    this.now()
      .catch((error) => this.#report(error))
      .catch((error) => this.#warn(error))
  }

  /** Abort the signal of the current run. Resolves when that run has ended. None follows. */
  async stop(): Promise<void> {
    this.#end(new TickerStopped(`${this.#init.label}: the ticker was stopped`))
    await Promise.allSettled([this.#running])
  }

  #end(reason: unknown): void {
    this.#timer?.cancel()
    this.#next?.reject(reason)
    this.#next = undefined
    this.#stopping.abort(reason)
  }

  #arm(): void {
    const { clock, intervalMs } = this.#init
    const passed = Math.floor((clock.now() - this.#startMs) / intervalMs)
    // The system's timers may fire a little early. The maximum keeps a tick from coming twice.
    this.#tick = Math.max(this.#tick, passed) + 1
    this.#timer = clock.schedule(this.#startMs + this.#tick * intervalMs - clock.now(), () => {
      this.#arm()
      if (this.#running === undefined) this.soon()
    })
  }

  #begin({ promise, resolve }: PromiseWithResolvers<void>): Promise<void> {
    // Before the task, which may ask for another run.
    this.#running = promise
    const ended = () => {
      const next = this.#next
      this.#running = this.#next = undefined
      if (next !== undefined) void this.#begin(next)
    }
    promise.then(ended, ended)
    resolve(Promise.try(this.#init.run, this.#stopping.signal))
    return promise
  }

  #report(thrown: unknown): void {
    const { aborted, reason } = this.#stopping.signal
    const error = asError(thrown)
    // A run that gave up because it was told to has not failed.
    if (aborted && (thrown === reason || error.name === 'AbortError')) return
    const { onError, label } = this.#init
    return onError === undefined ? this.#warn(error) : onError(error, label)
  }

  #warn(error: unknown): void {
    warn('TickerFailed', `${this.#init.label}: a run failed; the next one comes`, error)
  }
}
