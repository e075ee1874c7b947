import { tellListener } from '../listener-warning.ts'
import { EpochChanged } from '../log/errors.ts'
import type { SyncEvent } from '../sync/events.ts'
import type { Clock } from '../time/clock.ts'
import type { Counted, ReplicaEvent, ReplicaEvents } from './events.ts'
import { Problems } from './problems.ts'
import type { Status } from './status.ts'
import type { Warnings } from './warnings.ts'

/** Where events go: the public replica, once there is one. */
interface Audience {
  listenerCount(type: string): number
  safeDispatchEvent(type: string, detail: object): boolean
}

export interface ReporterInit {
  readonly status: Status
  readonly clock: Clock
  /** Aborts when the replica stops. */
  readonly stopping: AbortSignal
}

/** Tells the application what happens in this replica, counts it, and warns of what nobody listens for. */
export class Reporter {
  readonly #init: ReporterInit
  readonly #problems: Problems
  readonly #counts = new Map<Counted, number>()
  readonly #observers = new Set<(event: ReplicaEvent) => void>()
  #warnings: Warnings | undefined
  #audience: Audience | undefined
  /** Warnings from before anybody could listen. */
  #held: Error[] | undefined = []
  #trouble: Error | undefined

  constructor(init: ReporterInit) {
    this.#init = init
    this.#problems = new Problems(init.clock)
  }

  /** How often each event happened. */
  get counts(): ReadonlyMap<Counted, number> {
    return this.#counts
  }

  /** The newest problem since this replica was last in sync. */
  get trouble(): Error | undefined {
    return this.#trouble
  }

  /** This replica is in sync: what troubled it is over. */
  recovered(): void {
    this.#trouble = undefined
  }

  /** From now on events reach the application's listeners. */
  reportTo(audience: Audience): void {
    this.#audience = audience
  }

  /** Tell of every event, until the returned function is called. An observer is no listener: see `Warnings`. */
  observe(observer: (event: ReplicaEvent) => void): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /** From now on there are warnings of what nobody listens for. */
  warnBy(warnings: Warnings): void {
    this.#warnings = warnings
  }

  emit<E extends keyof ReplicaEvents & string>(type: E, detail: ReplicaEvents[E]['detail']): void {
    const counted = (type === 'sync' ? (detail as SyncEvent).type : type) as Counted
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1)
    for (const observer of this.#observers) tellListener(observer, { type, detail } as ReplicaEvent)
    const audience = this.#audience
    // Before that, `createReplica` rejects with what goes wrong.
    if (audience === undefined) return
    const heard = audience.listenerCount(type) > 0
    audience.safeDispatchEvent(type, { detail })
    this.#warnings?.happened(type, detail, heard)
  }

  /**
   * Something failed. A problem that halted this replica was told with its state; one that stays is not told
   * every second.
   */
  problem(error: Error): void {
    const { status, stopping } = this.#init
    this.#trouble = error
    if (error.message === status.failure?.message) return
    // Whichever part of this replica sees it first: there is nothing to be tried again.
    if (error instanceof EpochChanged) return status.enter('halted', error)
    if (stopping.aborted || this.#problems.isNews(error)) this.emit('problem', error)
  }

  /** The log goes on in spite of this. It is held until the application could listen. */
  warn(problem: Error): void {
    if (this.#held === undefined) this.problem(problem)
    else this.#held.push(problem)
  }

  /** The application had its time to listen. */
  tellHeld(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const warning of held) this.problem(warning)
  }
}
