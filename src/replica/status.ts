import { raceSignal } from 'race-signal'
import type { ReplicaState } from '../group/announcement.ts'
import { ReplicaStopped } from './errors.ts'
import type { StateChange } from './events.ts'

/**
 * The state of a replica, and what went wrong if something did. No state follows `stopped`, and only
 * `stopped` follows `halted`.
 */
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
    // The reason of a halt remains when the replica is stopped.
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
