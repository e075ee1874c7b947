import { raceSignal } from 'race-signal'
import { tellListener } from '../../../listener-warning.ts'
import { LogBusy, LogClosed, type LogError, LogUnavailable } from '../../../log/errors.ts'
import type { LogConnection } from '../../../log/log.ts'
import type { Life } from '../life.ts'
import type { Caller, Reach } from './reach.ts'

/** How long a request waits for servers that answer, in milliseconds, as on JetStream. */
export const PATIENCE_MS = 30_000
/** How long a write waits for the lock of a file, in milliseconds, as on SQLite. */
export const LOCK_MS = 5_000

/** What a request needs in order to be carried out. */
export type Need = 'read' | 'write' | 'presences'

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
  readonly need: Need
  readonly patienceMs?: number
}

/** What is under way in one direction: as on a TCP connection, nothing overtakes. */
class Lane {
  readonly #under: (() => void)[] = []
  #lastMs = 0

  get isEmpty(): boolean {
    return this.#under.length === 0
  }

  /** Returns how long it is on its way. */
  add(work: () => void, nowMs: number, delayMs: number): number {
    this.#lastMs = Math.max(this.#lastMs, nowMs + delayMs)
    this.#under.push(work)
    return this.#lastMs - nowMs
  }

  readonly arrive = (): void => this.#under.shift()?.()
}

/** What one handle of one process has to the log: a connection to servers, or an open file. */
export class Line implements LogConnection, Caller {
  readonly life: Life
  readonly node: string
  readonly #reach: Reach
  readonly #out = new Lane()
  readonly #back = new Lane()
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #changed = new Set<() => void>()
  #connected = true
  readonly #offDeath: () => void
  #isClosed = false

  constructor(reach: Reach, life: Life, node: string) {
    this.#reach = reach
    this.life = life
    this.node = node
    this.#connected = reach.kind === 'local' || reach.reaches(node)
    reach.lines.add(this)
    this.#offDeath = life.onDeath(() => reach.lines.delete(this))
  }

  get isLocal(): boolean {
    return this.#reach.kind === 'local'
  }

  /** As far as the process knows. */
  get connected(): boolean {
    return this.#connected
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whether its process can take something in at once. */
  get isAwake(): boolean {
    const { life } = this
    return life.isAlive && !life.isPaused && life.nowMs <= life.world.nowMs
  }

  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Told, within the process, when requests may come through again, and when the line is closed. */
  onFound(callback: () => void): () => void {
    this.#changed.add(callback)
    return () => this.#changed.delete(callback)
  }

  /** Whether a request would be carried out now. Readers of a file do not wait for its lock. */
  isOpenFor(need: Need): boolean {
    if (this.isLocal && need === 'read') return true
    if (!this.#connected) return false
    return need === 'presences' ? this.#reach.reachesPresences(this.node) : this.#reach.reaches(this.node)
  }

  lost(): void {
    if (this.#reach.reaches(this.node)) return
    this.#tell(false)
  }

  found(): void {
    if (this.#isClosed || !this.#reach.reaches(this.node)) return
    this.#tell(true)
    for (const callback of [...this.#changed]) callback()
  }

  /** Resolves when its process runs and has time. */
  awake(): Promise<void> {
    return new Promise((resolve) => this.life.deliver(resolve))
  }

  /** Have work done at the log. It is done even if the process dies meanwhile. */
  carry(work: () => void): void {
    const delayMs = this.#reach.thereMs()
    if (delayMs === 0 && this.#out.isEmpty) return void this.life.call(work)
    const thereMs = this.#out.add(work, this.life.world.nowMs, delayMs)
    if (thereMs > 0) void this.life.call(this.#out.arrive, { thereMs })
    else void this.life.call(this.#out.arrive)
  }

  /** Have the process take an answer in. */
  answer(take: () => void): void {
    const delayMs = this.#reach.backMs()
    if (delayMs === 0 && this.#back.isEmpty) return this.life.deliver(take)
    this.life.schedule(this.#back.add(take, this.life.world.nowMs, delayMs), this.#back.arrive)
  }

  /** From the commit of an entry until the process has it. */
  lagMs(): number {
    return this.#reach.lagMs(this.node)
  }

  thereMs(): number {
    return this.#reach.thereMs()
  }

  /**
   * The answer to a request that may be repeated. While the log does not answer it waits, and then rejects as
   * a log of its kind does.
   */
  async ask<T>(work: () => T, { signal, need, patienceMs }: AskOptions): Promise<T> {
    const ms = patienceMs ?? (this.isLocal ? LOCK_MS : PATIENCE_MS)
    const untilMs = this.life.nowMs + ms
    for (;;) {
      if (!this.isOpenFor(need)) await this.until(need, untilMs, ms, signal)
      signal?.throwIfAborted()
      const answer = await raceSignal(this.#roundTrip(work, need), signal)
      if (answer !== undefined) return answer()
    }
  }

  /** Resolves when requests come through. Rejects after a while, and when the signal aborts. */
  async until(need: Need, untilMs: number, waitedMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => {
      if (this.#isClosed) reject(new LogClosed())
      else if (this.isOpenFor(need)) resolve()
    }
    const onAbort = () => reject(signal?.reason)
    const timer = this.life.schedule(untilMs - this.life.nowMs, () => reject(this.late(waitedMs)))
    const off = this.onFound(look)
    signal?.addEventListener('abort', onAbort)
    look()
    try {
      await promise
    } finally {
      off()
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Why a request is given up that nobody answered. */
  late(waitedMs: number): LogError {
    return this.isLocal ? new LogBusy(waitedMs) : new LogUnavailable('there is no connection')
  }

  close(): void {
    this.#isClosed = true
    this.#offDeath()
    this.#reach.lines.delete(this)
    for (const callback of [...this.#changed]) callback()
  }

  /** Undefined if the request or its answer was lost. */
  #roundTrip<T>(work: () => T, need: Need): Promise<(() => T) | undefined> {
    const { promise, resolve } = Promise.withResolvers<(() => T) | undefined>()
    this.carry(() => {
      const result = this.isOpenFor(need) ? outcome(work) : undefined
      this.answer(() => resolve(this.isOpenFor(need) ? result : undefined))
    })
    return promise
  }

  #tell(connected: boolean): void {
    if (this.#connected === connected) return
    this.#connected = connected
    this.life.world.note(this.life.name, connected ? 'is connected to the log' : 'loses the log')
    for (const listener of [...this.#listeners]) tellListener(listener, connected)
  }
}

/** Do the work now, and tell its result later. */
function outcome<T>(work: () => T): () => T {
  try {
    const value = work()
    return () => value
  } catch (error) {
    return () => {
      throw error
    }
  }
}
