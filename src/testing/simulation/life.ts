import type { Timer } from '../../time/clock.ts'
import type { World } from './world.ts'

/** How long a call to the outside takes, in milliseconds. */
export interface CallTimes {
  /** Until it has its effect. Default 0. */
  readonly thereMs?: number
  /** From there until the process knows. Default 0. */
  readonly backMs?: number
}

/**
 * One life of one process: from its start to its crash or stop. Everything that its code does to the world,
 * and all that comes back, goes through here. So a process can be stopped at any of its calls: what it waits
 * for then never comes, and what it still does has no effect.
 */
export class Life {
  /** The process's name and the number of this life: `b#2`. */
  readonly name: string
  readonly #world: World
  #state: 'running' | 'paused' | 'dead' = 'running'
  /** What has come while it was paused or at work, in order. */
  #inbox: (() => void)[] = []
  /** It has an event at which it takes the next of these. */
  #takes = false
  readonly #onDeath = new Set<() => void>()
  #callsLeft = Number.POSITIVE_INFINITY
  #busyUntilMs = 0
  #timers = 0

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
  }

  get world(): World {
    return this.#world
  }

  get isAlive(): boolean {
    return this.#state !== 'dead'
  }

  get isPaused(): boolean {
    return this.#state === 'paused'
  }

  /** What is to come to it: timers, deliveries, answers. */
  get timers(): number {
    return this.#timers
  }

  /** The world's time as this process lives it: later, while it works. */
  get nowMs(): number {
    return Math.max(this.#world.nowMs, this.#busyUntilMs)
  }

  /** It works for so long: what comes meanwhile waits, as for a busy event loop. */
  work(forMs: number): void {
    this.#busyUntilMs = this.nowMs + forMs
  }

  /** Have its code run. Later while it is paused or at work; never once it is dead. */
  schedule(delayMs: number, callback: () => void): Timer {
    // What it schedules at work counts from there.
    const aheadMs = this.nowMs - this.#world.nowMs
    let isOver = false
    this.#timers++
    const end = () => {
      if (!isOver) this.#timers--
      isOver = true
    }
    const timer = this.#world.schedule(delayMs + aheadMs, () => {
      if (isOver || this.#state === 'dead') return
      this.#arrive(() => {
        if (isOver) return
        end()
        callback()
      })
    })
    return {
      cancel: () => {
        end()
        timer.cancel()
      },
    }
  }

  /** Something reaches it now: later while it is paused or at work, never once it is dead. */
  deliver(callback: () => void): void {
    this.#arrive(callback)
  }

  /**
   * A call to the outside, such as a write to a disk. Its effect comes after `thereMs`, also when the process
   * is paused or dies meanwhile; the process knows `backMs` later. The promise never settles once it is dead.
   */
  call<T>(work: () => T | Promise<T>, { thereMs = 0, backMs = 0 }: CallTimes = {}): Promise<T> {
    if (this.#state === 'dead' || this.#isLastCall()) return new Promise(() => {})
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const back = (settle: () => void) => {
      if (backMs > 0) this.schedule(backMs, settle)
      else if (thereMs > 0) this.#arrive(settle)
      else this.#pass(settle)
    }
    const act = () => {
      Promise.try(work).then(
        (result) => back(() => resolve(result)),
        (error) => back(() => reject(error)),
      )
    }
    if (thereMs > 0) this.#world.schedule(thereMs, act)
    else act()
    return promise
  }

  /** Resolves at once while it is free, later while it is paused or at work, and never once it is dead. */
  running(): Promise<void> {
    return new Promise((resolve) => this.#arrive(resolve))
  }

  /** Stop its code, as SIGSTOP does. */
  pause(): void {
    if (this.#state === 'running') this.#state = 'paused'
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.#take()
  }

  /** End it, as SIGKILL does. */
  kill(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#inbox = []
    for (const callback of [...this.#onDeath]) callback()
    this.#onDeath.clear()
  }

  /** End it at this many calls to the outside from now: 1 is the next. That call has no effect. */
  killAtCall(calls: number): void {
    this.#callsLeft = calls
  }

  /** Told when it dies. Returns what ends that. */
  onDeath(callback: () => void): () => void {
    this.#onDeath.add(callback)
    return () => this.#onDeath.delete(callback)
  }

  #isLastCall(): boolean {
    if (--this.#callsLeft > 0) return false
    this.kill()
    return true
  }

  /** It goes on with its own code, also while others wait for it to have time. */
  #pass(callback: () => void): void {
    if (this.#state === 'running') callback()
    else if (this.#state === 'paused') this.#inbox.push(callback)
  }

  /** Something comes from outside, now. What came earlier comes first. */
  #arrive(callback: () => void): void {
    if (this.#state === 'dead') return
    const isFree = this.#state === 'running' && this.#busyUntilMs <= this.#world.nowMs
    if (isFree && this.#inbox.length === 0) return callback()
    this.#inbox.push(callback)
    this.#take()
  }

  /** Take what has come, one after the other, each with all that follows from it, as soon as it has time. */
  #take(): void {
    if (this.#takes || this.#state !== 'running' || this.#inbox.length === 0) return
    this.#takes = true
    this.#world.schedule(this.#busyUntilMs - this.#world.nowMs, () => {
      this.#takes = false
      const isFree = this.#state === 'running' && this.#busyUntilMs <= this.#world.nowMs
      if (isFree) this.#inbox.shift()?.()
      this.#take()
    })
  }
}
