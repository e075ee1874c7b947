import type { MachineCheck } from './machine-fault.ts'
import type { Script } from './script.ts'
import type { State } from './state.ts'
import { type Outcome, Subject, type SubjectInit } from './subject.ts'
import type { Workshop } from './workshop.ts'

/** What the first instance did, with which all others are compared. */
export interface Reference {
  /** Of each command. */
  readonly outcomes: readonly Outcome[]
  /** By place: see `Script.places`. */
  readonly states: ReadonlyMap<number, State>
}

export interface BenchInit {
  readonly workshop: Workshop
  readonly script: Script
  readonly chunkBytes: number
  /** The version that is active. Default: the machine's newest. */
  readonly signature?: string
}

/** Where a machine is checked with one list of commands, while one of its versions is active. */
export class Bench {
  readonly script: Script
  readonly #init: BenchInit

  constructor(init: BenchInit) {
    this.#init = init
    this.script = init.script
  }

  /** The version that is active; undefined: the machine's newest. */
  get signature(): string | undefined {
    return this.#init.signature
  }

  /** A fresh machine. */
  async subject(check: MachineCheck, { call }: Pick<SubjectInit, 'call'> = {}): Promise<Subject> {
    const { workshop, chunkBytes, signature } = this.#init
    const machine = await workshop.make()
    return new Subject({ machine, check, chunkBytes, ...(signature && { signature }), ...(call && { call }) })
  }

  /** One where another version is active, or other machines are made, for other commands. */
  with(changes: Partial<BenchInit>): Bench {
    return new Bench({ ...this.#init, ...changes })
  }
}
