import { raceSignal } from 'race-signal'
import type { StateMachine } from '../../machine/machine.ts'
import { InstallFailed } from '../errors.ts'

/** What a machine has to do after its state was replaced, before it is read and before a command is applied. */
export class AfterInstall {
  readonly #machine: Pick<StateMachine, 'afterInstall'>
  #isDue = false

  constructor(machine: Pick<StateMachine, 'afterInstall'>) {
    this.#machine = machine
  }

  /** The state was replaced, and the machine is not done with that. */
  get isDue(): boolean {
    return this.#isDue
  }

  /** Have the state replaced. While that tells its listeners, it is no state to read yet. */
  replacing(replace: () => void): void {
    const wasDue = this.#isDue
    this.#isDue = this.#machine.afterInstall !== undefined
    try {
      replace()
    } catch (error) {
      this.#isDue = wasDue
      throw error
    }
  }

  /** Resolves when the machine is done. Rejects with `InstallFailed`, and when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (!this.#isDue) return
    try {
      await raceSignal(
        Promise.try(() => this.#machine.afterInstall?.(signal)),
        signal,
      )
    } catch (cause) {
      signal.throwIfAborted()
      throw new InstallFailed(cause)
    }
    this.#isDue = false
  }
}
