import { checkInteger } from '../../bounds.ts'
import type { GroupState } from '../../group/group-state.ts'
import { EpochChanged, LogBusy, LogUnavailable } from '../../log/errors.ts'
import { isConnected, type Log, type LogBounds, type SignalOptions } from '../../log/log.ts'
import { formatPosition, type Position } from '../../position.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { NotInTime } from '../errors.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'
import type { Applier } from './applier.ts'

/** Pause before the log's end is asked for again after it could not be read, in milliseconds. */
const RETRY_MS = 500

/** How far a replica is behind its log. */
export interface LogLag {
  /** Entries that are in the log and not in the state. */
  readonly entries: number
  /**
   * The time between the newest entry of the state and the newest of the log, in milliseconds, by the stamps
   * of the log. 0 if there is none between them.
   */
  readonly ms: number
  /** What the log holds. */
  readonly log: LogBounds
}

export interface PositionsInit {
  readonly log: Log
  readonly group: Pick<GroupState, 'timeMs' | 'timeAt'>
  readonly applier: Pick<Applier<unknown>, 'applied' | 'isInstalling' | 'waiters'>
  readonly status: Status
  readonly clock: Clock
  readonly reporter: Pick<Reporter, 'trouble'>
  /** Aborts when the replica stops. */
  readonly stopping: AbortSignal
}

/** Where this replica is in the log, and the wait for it to get somewhere. */
export class Positions {
  readonly #init: PositionsInit

  constructor(init: PositionsInit) {
    this.#init = init
  }

  /** The newest position whose entry is in the state. */
  get current(): Position {
    return { epoch: this.#init.log.epoch, index: this.#init.applier.applied }
  }

  /** See `Replica.lag`. */
  async lag(options: SignalOptions = {}): Promise<LogLag> {
    const { log, applier, group } = this.#init
    const bounds = await this.inTime('lag()', options, () => log.bounds(options))
    const entries = Math.max(0, bounds.newest.index - applier.applied)
    const newestMs = entries === 0 ? undefined : group.timeAt(bounds.newest.timestampMs)
    return { entries, ms: newestMs === undefined ? 0 : Math.max(0, newestMs - group.timeMs), log: bounds }
  }

  /** Throws what ended this replica, or left it without a state. */
  assertAlive(): void {
    this.#init.stopping.throwIfAborted()
    this.#init.status.assertAlive()
  }

  /** A signal that aborts with this one, and when the replica stops. */
  whileRunning(signal?: AbortSignal): AbortSignal {
    const { stopping } = this.#init
    return signal === undefined ? stopping : AbortSignal.any([stopping, signal])
  }

  /** See `Replica.inSync`. */
  async inSync(options: SignalOptions = {}): Promise<void> {
    await this.inTime('inSync()', options, () => this.atEnd(options.signal))
  }

  /** As `inSync`, for callers that are in time themselves. */
  async atEnd(signal?: AbortSignal): Promise<void> {
    const { status, applier } = this.#init
    let end: number | undefined
    for (;;) {
      await status.inSync(signal)
      if (end !== undefined && end <= applier.applied) return
      end ??= await this.#logEnd(signal)
      if (end !== undefined) await this.#appliedOrFailed(end, signal)
    }
  }

  /** See `Replica.reached`. */
  async reached(position: Position, options: SignalOptions = {}): Promise<void> {
    const { log, applier } = this.#init
    if (position.epoch !== log.epoch) throw new EpochChanged(position.epoch, log.epoch)
    checkInteger('position.index', position.index, 0)
    if (this.#isReached(position.index)) return
    this.assertAlive()
    await this.inTime('reached()', options, () => applier.waiters.wait(position.index, options.signal))
  }

  /** See `Replica.barrier`. */
  async barrier(options: SignalOptions = {}): Promise<void> {
    const { log } = this.#init
    this.assertAlive()
    const { newest } = await this.inTime('barrier()', options, () => log.bounds(options))
    await this.reached({ epoch: log.epoch, index: newest.index }, options)
  }

  /**
   * A caller whose time is up is told where this replica stands. Any other reason of its signal is passed on
   * as it is.
   */
  async inTime<T>(what: string, { signal }: SignalOptions, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const isTimeout = error instanceof Error && error.name === 'TimeoutError' && error === signal?.reason
      if (!isTimeout) throw error
      throw new NotInTime(what, this.#standing, error)
    }
  }

  /** Everything up to there can be read. */
  #isReached(index: number): boolean {
    const { applied, isInstalling } = this.#init.applier
    return index <= applied && !isInstalling
  }

  /** Where this replica stands and what troubles it, for people. */
  get #standing(): string {
    const { status, log, reporter } = this.#init
    const where = `this replica is ${status.state} at ${formatPosition(this.current)}`
    const reach = isConnected(log) ? '' : ', and the log cannot be reached'
    const trouble =
      reporter.trouble === undefined ? '' : `; its newest problem is ${reporter.trouble.message}`
    return `${where}${reach}${trouble}`
  }

  /** Where the log ends now; undefined, after a pause, if it cannot be reached. */
  async #logEnd(signal?: AbortSignal): Promise<number | undefined> {
    const { log, clock } = this.#init
    const ends = this.whileRunning(signal)
    try {
      return (await log.bounds({ signal: ends })).newest.index
    } catch (error) {
      ends.throwIfAborted()
      if (!(error instanceof LogUnavailable || error instanceof LogBusy)) throw error
      await sleep(clock, RETRY_MS, ends)
      return undefined
    }
  }

  /**
   * Resolves when everything up to `index` is in the state, or something keeps this replica from getting
   * there.
   */
  async #appliedOrFailed(index: number, signal?: AbortSignal): Promise<void> {
    const { applier, status } = this.#init
    if (this.#isReached(index)) return
    const done = new AbortController()
    const ends = AbortSignal.any([done.signal, ...(signal ? [signal] : [])])
    try {
      await Promise.race([applier.waiters.wait(index, ends), status.failed(ends)])
    } finally {
      done.abort()
    }
  }
}
