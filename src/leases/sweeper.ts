import { checkInteger, checkMs } from '../bounds.ts'
import { asError } from '../thrown.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { LeaseTable } from './lease-table.ts'

/** What a `Sweeper` is made of. */
export interface SweeperInit<K> {
  /** The table, which has no other sweeper. */
  readonly table: LeaseTable<K>
  /** The clock of the table. */
  readonly clock: Clock
  /** Called for each key after it is gone. Its errors go to `onError`, and the sweep goes on. */
  readonly onExpired?: (key: K, deadlineMs: number) => void
  /** How many keys are looked at before the event loop gets its turn. Default 1,024. */
  readonly chunkKeys?: number
  /** Sweep at this interval, in milliseconds. Default: sweep when something is due. */
  readonly cadenceMs?: number
  /**
   * The least time between two sweeps, in milliseconds: keys that are due close together go together. Default
   * 10.
   */
  readonly restMs?: number
  /** Called with what `onExpired` threw, or a sweep. Its own errors are ignored. Default: such errors are ignored. */
  readonly onError?: (error: Error) => void
  /** Ends the sweeper. */
  readonly signal?: AbortSignal
}

/** Keys removed between two turns of the event loop: about a millisecond's work. */
export const SWEEP_CHUNK_KEYS = 1_024
/** Keys that are due within 10 ms of each other go in one sweep. */
const REST_MS_DEFAULT = 10

/**
 * Evicts keys from a lease table when they are due, and sleeps in between. Its timers do not keep the process
 * alive. It never sweeps before it has slept once. A table has one sweeper.
 */
export class Sweeper<K> {
  readonly #init: SweeperInit<K>
  readonly #chunkKeys: number
  /**
   * The least time until the next sweep, after a sweep that evicted keys. With a cadence, after every sweep.
   */
  readonly #restMs: number
  readonly #onAbort = () => this.stop()
  #timer: { readonly timer: Timer; readonly atMs: number } | undefined
  #notBeforeMs: number
  #sweeping = false
  #stopped = false
  #expired = 0

  constructor(init: SweeperInit<K>) {
    const { table, clock, chunkKeys = SWEEP_CHUNK_KEYS, cadenceMs, restMs = REST_MS_DEFAULT, signal } = init
    checkInteger('chunkKeys', chunkKeys, 1)
    checkMs('restMs', restMs, 0)
    if (cadenceMs !== undefined) checkMs('cadenceMs', cadenceMs, 1)
    this.#init = init
    this.#chunkKeys = chunkKeys
    this.#restMs = cadenceMs ?? restMs
    this.#notBeforeMs = clock.now() + (cadenceMs ?? 0)
    if (signal?.aborted) {
      this.#stopped = true
      return
    }
    signal?.addEventListener('abort', this.#onAbort)
    table.watch(() => this.#arm())
    this.#arm()
  }

  /** How many keys it has evicted so far. */
  get expired(): number {
    return this.#expired
  }

  /** Evict all due keys at once, without a pause. Returns how many went. */
  sweepNow(): number {
    let evicted = 0
    do evicted += this.#chunk()
    while (this.#init.table.mayHaveExpired())
    this.#arm()
    return evicted
  }

  /**
   * End the sweeper: it evicts no more by itself, but for a chunk that is under way. The keys stay in the table. It may
   * be called twice.
   */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#timer?.timer.cancel()
    this.#init.table.watch(undefined)
    this.#init.signal?.removeEventListener('abort', this.#onAbort)
  }

  /** Sleep until something may be due. */
  #arm(): void {
    if (this.#stopped || this.#sweeping) return
    const { table, clock } = this.#init
    const dueMs = this.#init.cadenceMs === undefined ? table.nextDeadlineMs : this.#notBeforeMs
    const atMs = dueMs === undefined ? undefined : Math.max(dueMs, this.#notBeforeMs)
    if (this.#timer?.atMs === atMs) return
    this.#timer?.timer.cancel()
    this.#timer = undefined
    if (atMs === undefined) return
    const wait = Math.min(Math.max(0, atMs - clock.now()), 2 ** 31 - 1)
    this.#timer = { atMs, timer: clock.schedule(wait, () => this.#wake()) }
  }

  #wake(): void {
    this.#timer = undefined
    this.#sweep().catch((cause) => this.#report(cause))
  }

  async #sweep(): Promise<void> {
    const { table, clock, cadenceMs } = this.#init
    this.#sweeping = true
    let evicted = 0
    try {
      evicted += this.#chunk()
      while (table.mayHaveExpired()) {
        await clock.turn()
        if (this.#stopped) return
        evicted += this.#chunk()
      }
    } finally {
      this.#sweeping = false
      // A sweep that only moved keys to nearer buckets must not delay their eviction.
      if (evicted > 0 || cadenceMs !== undefined) this.#notBeforeMs = clock.now() + this.#restMs
      this.#arm()
    }
  }

  #chunk(): number {
    const { table, onExpired } = this.#init
    const onEvicted =
      onExpired &&
      ((key: K, deadlineMs: number) => {
        try {
          onExpired(key, deadlineMs)
        } catch (cause) {
          this.#report(cause)
        }
      })
    const evicted = table.evictExpired(this.#chunkKeys, undefined, onEvicted)
    this.#expired += evicted
    return evicted
  }

  #report(cause: unknown): void {
    try {
      this.#init.onError?.(asError(cause))
    } catch {
      // An error of `onError` itself can be reported nowhere.
    }
  }
}
