import { MalformedCommand, type StateMachine } from '../../../machine/machine.ts'
import type { Model } from './model.ts'

/**
 * A fresh machine that applies every command from the log's beginning, and never installs anything. It finds all
 * mistakes but those in `apply` itself.
 */
export class ReplayModel implements Model<StateMachine> {
  readonly #machine: StateMachine

  constructor(machine: StateMachine) {
    this.#machine = machine
  }

  apply(command: Uint8Array, context: { index: number; timeMs: number }): unknown {
    this.#machine.advance?.(context.timeMs)
    try {
      return this.#machine.apply(command, {
        position: { epoch: '', index: context.index },
        timeMs: context.timeMs,
      })
    } catch (error) {
      if (error instanceof MalformedCommand) return undefined
      throw error
    }
  }

  digest(timeMs: number): string {
    this.#machine.advance?.(timeMs)
    return this.digestOf(this.#machine)
  }

  digestOf(machine: StateMachine): string {
    const snapshot = machine.capture()
    const items = Array.from(snapshot.items(), (item) => Buffer.from(item).toString('latin1'))
    snapshot.release()
    return items.join('\n')
  }
}
