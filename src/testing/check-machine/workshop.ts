import type { StateMachine } from '../../machine/machine.ts'

/** Makes a new machine, with an empty state. */
export type MachineFactory = () => StateMachine | Promise<StateMachine>

/** Makes machines, all of one signature, and closes those that can be closed. */
export class Workshop implements AsyncDisposable {
  readonly #factory: MachineFactory
  readonly #made = new WeakSet<StateMachine>()
  readonly #closable: (AsyncDisposable | Disposable)[] = []
  #signature: string | undefined

  constructor(factory: MachineFactory) {
    this.#factory = factory
  }

  /** A fresh machine. Throws `RangeError` for one that is not. */
  async make(): Promise<StateMachine> {
    const machine = await this.#factory()
    if (this.#made.has(machine)) {
      throw new RangeError('the factory returned a machine for the second time; make a new one in each call')
    }
    this.#made.add(machine)
    if (isClosable(machine)) this.#closable.push(machine)
    this.#signature ??= machine.signature
    if (machine.signature !== this.#signature) {
      throw new RangeError(
        `the factory made machines of the signatures ${this.#signature} and ${machine.signature}; make all alike`,
      )
    }
    return machine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.#closable) {
      if (Symbol.asyncDispose in machine) await machine[Symbol.asyncDispose]()
      else machine[Symbol.dispose]()
    }
  }
}

function isClosable(machine: object): machine is AsyncDisposable | Disposable {
  return Symbol.asyncDispose in machine || Symbol.dispose in machine
}
