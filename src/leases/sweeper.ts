import { checkInteger, checkMs } from '../bounds.ts'
import { asError } from '../thrown.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { LeaseTable } from './lease-table.ts'

export interface SweeperInit<K> {
  readonly table: LeaseTable<K>
  /** The table's. */
  readonly clock: Clock
  /** Called for each key after it is gone. What it throws goes to `onError`, and the sweep goes on. */
  readonly onExpired?: (key: K, deadlineMs: number) => void
  /** Keys looked at before the event loop gets its turn. Default 1,024. */
  readonly chunkKeys?: number
  /** Sweep so often, in milliseconds, rather than when something is due. Default: when something is due. */
  readonly cadenceMs?: number
  /** The least time from one sweep to the next, in milliseconds: keys that are due close together go together. Default 10. */
  readonly restMs?: number
  readonly onError?: (error: Error) => void
  /** Ends the sweeper. */
  readonly signal?: AbortSignal
}

/** Keys removed between two turns of the event loop: about a millisecond's work. */
export const SWEEP_CHUNK_KEYS = 1_024
const REST_MS_DEFAULT = 10

/**
 * Evicts from a lease table what is due, when it is due, and sleeps in between; its timers do not hold the process. It
 * never sweeps before it has slept once. One sweeper per table.
 */
export class Sweeper<K> {
  readonly #init: SweeperInit<K>
  readonly #chunkKeys: number
  /** Until the next sweep, after one that evicted something, or after any if there is a cadence. */
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

  /** How many keys it evicted since it began. */
  get expired(): number {
    return this.#expired
  }

  /** Evict all that is due at once, without a pause. Returns how many went. */
  sweepNow(): number {
    let evicted = 0
    do evicted += this.#chunk()
    while (this.#init.table.mayHaveExpired())
    this.#arm()
    return evicted
  }

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
      // A look that only brought keys nearer to their time must not make them late.
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
      // Whom could we tell?
    }
  }
}
