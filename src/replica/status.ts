import { raceSignal } from 'race-signal'
import type { ReplicaState } from '../group/announcement.ts'
import { ReplicaStopped } from './errors.ts'
import type { StateChange } from './events.ts'

/** Where a replica stands, and why, where something went wrong. Nothing follows `stopped`, and only that `halted`. */
export class Status {
  readonly #listeners = new Set<(change: StateChange) => void>()
  #state: ReplicaState = 'starting'
  #failure: Error | undefined

  get state(): ReplicaState {
    return this.#state
  }

  /** What ended the replica, or keeps it from having a state. */
  get failure(): Error | undefined {
    return this.#failure
  }

  enter(state: ReplicaState, reason?: Error): void {
    const previous = this.#state
    if (previous === state || previous === 'stopped' || (previous === 'halted' && state !== 'stopped')) return
    this.#state = state
    // What halted a replica remains the reason when it is stopped.
    if (state !== 'stopped') this.#failure = reason
    else if (previous !== 'halted') this.#failure = new ReplicaStopped()
    for (const listener of [...this.#listeners]) listener({ state, previous, reason })
  }

  /** Tell of each change, in the order of the listeners. */
  onChange(listener: (change: StateChange) => void): void {
    this.#listeners.add(listener)
  }

  /** Throws what ended this replica, or left it without a state. */
  assertAlive(): void {
    if (this.#state === 'stopped') throw new ReplicaStopped()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves in sync; rejects with what keeps this replica from it. */
  async inSync(signal?: AbortSignal): Promise<void> {
    await this.#until(() => this.#state === 'in-sync' || this.#failure !== undefined, signal)
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when something keeps this replica from being in sync. */
  async failed(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#failure !== undefined, signal)
  }

  async #until(isMet: () => boolean, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (isMet()) resolve()
    }
    this.#listeners.add(look)
    look()
    try {
      await raceSignal(promise, signal)
    } finally {
      this.#listeners.delete(look)
    }
  }
}
