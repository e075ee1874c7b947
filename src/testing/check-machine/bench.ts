import type { StateMachine } from '../../machine/machine.ts'
import type { MachineCheck } from './machine-fault.ts'
import type { Script } from './script.ts'
import type { State } from './state.ts'
import { type Outcome, Subject, type SubjectInit } from './subject.ts'

/** Makes a new machine, with an empty state. */
export type MachineFactory = () => StateMachine | Promise<StateMachine>

/** What the first instance did, with which all others are compared. */
export interface Reference {
  /** Of each command. */
  readonly outcomes: readonly Outcome[]
  /** By place: see `Script.places`. */
  readonly states: ReadonlyMap<number, State>
}

export interface BenchInit {
  readonly factory: MachineFactory
  readonly script: Script
  readonly chunkBytes: number
}

/** Where machines are checked: makes them, and closes those that can be closed. */
export class Bench implements AsyncDisposable {
  readonly script: Script
  readonly #init: BenchInit
  readonly #made = new WeakSet<StateMachine>()
  readonly #closable: (AsyncDisposable | Disposable)[] = []
  #signature: string | undefined

  constructor(init: BenchInit) {
    this.#init = init
    this.script = init.script
  }

  /** A fresh machine. */
  async subject(check: MachineCheck, { call }: Pick<SubjectInit, 'call'> = {}): Promise<Subject> {
    const { factory, chunkBytes } = this.#init
    const machine = await factory()
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
    return new Subject({ machine, check, chunkBytes, ...(call && { call }) })
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
