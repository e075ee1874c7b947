import type { Refusal } from '../../machine/errors.ts'
import type { Command, StateMachine } from '../../machine/machine.ts'

/**
 * A command for one part of a composition, which `submitAll` takes. `state.commands` makes them. This makes one for
 * a machine that has no `commands` of its own.
 *
 * @typeParam Result what the command results in
 *
 * @example
 * ```ts
 * await state.submitAll([state.commands.users.set('a', 1), new PartCommand(state.tally, Buffer.from('a'))])
 * ```
 */
export class PartCommand<Result = unknown> {
  /** For the type alone. */
  declare protected readonly result: Result
  readonly machine: StateMachine
  readonly command: Uint8Array

  /** @param machine a part of the composition, or a part of such a part */
  constructor(machine: StateMachine<Result>, command: Command<Result>) {
    this.machine = machine
    this.command = command
  }
}

/** What commands result in, in their order. */
export type ResultsOf<Commands extends readonly PartCommand[]> = {
  -readonly [I in keyof Commands]: Commands[I] extends PartCommand<infer Result>
    ? Exclude<Result, Refusal>
    : never
}

/** The commands of a machine, each as a `PartCommand`: methods that return bytes do so. */
export type PartCommandsOf<Commands> = {
  readonly [N in keyof Commands as IsMaker<Commands[N]> extends true ? N : never]: Commands[N] extends (
    ...parameters: infer Parameters
  ) => Command<infer Result>
    ? (...parameters: Parameters) => PartCommand<Result>
    : never
}

type IsMaker<Member> = Member extends (...parameters: never[]) => Uint8Array ? true : false

type Maker = (...parameters: readonly unknown[]) => Uint8Array

/** Methods like those of `commands`, whose results are for a part. */
export function partCommands(machine: StateMachine, commands: object): object {
  const made: Record<string, (...parameters: readonly unknown[]) => PartCommand> = Object.create(null)
  for (const [name, make] of makersOf(commands)) {
    made[name] = (...parameters) => new PartCommand(machine, make.apply(commands, [...parameters]))
  }
  return Object.freeze(made)
}

/** The methods of an object, its own and those of its classes. */
function makersOf(commands: object): Map<string, Maker> {
  const makers = new Map<string, Maker>()
  for (let of = commands; of !== null && of !== Object.prototype; of = Object.getPrototypeOf(of)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(of))) {
      if (name !== 'constructor' && typeof value === 'function' && !makers.has(name)) makers.set(name, value)
    }
  }
  return makers
}
