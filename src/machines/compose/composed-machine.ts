import { AlreadyAttached, NotAttached, Refusal } from '../../machine/errors.ts'
import {
  type CommandContext,
  type Installation,
  type MachineHost,
  MalformedCommand,
  MalformedQuestion,
  type Snapshot,
  type StateMachine,
  type SubmitOptions,
  type Written,
} from '../../machine/machine.ts'
import { decodeCommand, encodeOne, encodeSeveral, type NumberedCommand, numberBytes } from './command.ts'
import { ComposedInstallation, type PartInstallation } from './composed-installation.ts'
import { composedSnapshot, type PartSnapshot, releaseAll } from './composed-snapshot.ts'
import { ComposedVersions } from './composed-versions.ts'
import { BadComposition, BatchRefused, NotTransactional, UnknownPart } from './errors.ts'
import { HeaderRuns } from './header.ts'
import { type PartCommand, type PartCommandsOf, partCommands, type ResultsOf } from './part-command.ts'
import { checkedParts, type Part, type Parts } from './parts.ts'
import { PartsTransaction } from './parts-transaction.ts'

const COLON = 0x3a

/** What `apply` of a machine returns. */
export type ResultOf<M extends StateMachine> = M extends StateMachine<infer Result> ? Result : never

/** What `apply` of a composition returns: what its part did or, of several commands, what each part did. */
export type ComposedResult<P extends Parts> = ResultOf<P[keyof P]> | readonly unknown[] | BatchRefused

/** What makes the commands of each part that has `commands`. */
export type ComposedCommands<P extends Parts> = {
  readonly [N in keyof P as P[N] extends { readonly commands: object } ? N : never]: P[N] extends {
    readonly commands: infer Commands
  }
    ? P[N] extends ComposedMachine<Parts>
      ? Commands
      : PartCommandsOf<Commands>
    : never
}

/** Where a machine is in a composition. */
interface Route {
  /** With the names of the parts that it is in: `inner.users`. */
  readonly name: string
  /** What precedes its commands: the numbers of these parts, and its own. */
  readonly number: readonly number[]
}

/** See `compose`. */
export class ComposedMachine<P extends Parts> implements StateMachine<ComposedResult<P>> {
  readonly signature: string
  /** See `ComposedVersions`. */
  readonly older?: readonly string[]
  /** The very machines that were given, by their names. */
  readonly parts: P
  /** Makes commands of the parts for `submitAll`. */
  readonly commands: ComposedCommands<P>
  /** @internal */
  readonly transaction: PartsTransaction
  readonly #parts: readonly Part[]
  readonly #versions: ComposedVersions
  readonly #routes: ReadonlyMap<StateMachine, Route>
  readonly #headers = new HeaderRuns()
  #host: MachineHost<ComposedResult<P>> | undefined

  /** Throws `BadComposition`. */
  constructor(parts: P) {
    this.#parts = checkedParts(parts, (name) => name in this)
    this.#routes = routesTo(this.#parts)
    this.#versions = new ComposedVersions(this.#parts)
    const { newest, older } = this.#versions
    this.signature = newest
    if (older !== undefined) this.older = older
    this.transaction = new PartsTransaction(this.#parts)
    this.parts = Object.freeze({ ...parts })
    this.commands = commandsOf(this.#parts) as ComposedCommands<P>
    for (const { name, machine } of this.#parts)
      Object.defineProperty(this, name, { value: machine, enumerable: true })
  }

  /**
   * Append several commands as one entry of the log, which all of its replicas apply as a whole or not at all. Each
   * command sees what those before it did. Resolves when they are applied here, with the result of each.
   *
   * Rejects with `BatchRefused` if one of them cannot be obeyed: then none of them has happened anywhere. Rejects with
   * `UnknownPart` for a command of another machine, with `NotTransactional` for a part that cannot undo commands,
   * with `NotAttached` before a replica has taken the composition over, and as the log does.
   *
   * @example
   * ```ts
   * const { result } = await state.submitAll([
   *   state.commands.users.set('a', { name: 'Ada' }),
   *   state.commands.emails.delete('a'),
   * ])
   * ```
   */
  async submitAll<const Commands extends readonly PartCommand[]>(
    commands: Commands,
    options?: SubmitOptions,
  ): Promise<Written<ResultsOf<Commands>>> {
    if (this.#host === undefined) throw new NotAttached()
    const written = await this.#host.submit(this.encodeAll(commands), options)
    if (written.result instanceof BatchRefused) throw this.#inFull(written.result, commands)
    return written as Written<ResultsOf<Commands>>
  }

  /**
   * The command that `submitAll` appends, for programs that append to a log themselves. Throws as `submitAll`
   * rejects.
   */
  encodeAll(commands: readonly PartCommand[]): Uint8Array {
    const encoded = commands.map(({ machine, command }, at) => {
      const route = this.#routes.get(machine)
      if (route === undefined) throw new UnknownPart(at)
      if (machine.transaction === undefined) throw new NotTransactional(route.name)
      return encodeOne(route.number, command)
    })
    return encodeSeveral(encoded)
  }

  /** Called by the replica. */
  attach(host: MachineHost<ComposedResult<P>>): void {
    if (this.#host !== undefined) throw new AlreadyAttached()
    this.#host = host
    for (const [i, { machine }] of this.#parts.entries()) {
      const number = numberBytes(i + 1)
      machine.attach?.({
        submit: async (command, options) => await host.submit(encodeOne(number, command), options),
        assertReadable: () => host.assertReadable(),
      })
    }
  }

  /** Called by the replica, for each committed command. */
  apply(command: Uint8Array, context: CommandContext): ComposedResult<P> {
    // Also of the parts that the command is not for: they are read at the same time.
    this.advance(context.timeMs)
    const decoded = decodeCommand(command, this.#parts.length)
    const result = Array.isArray(decoded)
      ? this.#applyAll(decoded, context)
      : this.#applyOne(decoded, context)
    return result as ComposedResult<P>
  }

  /**
   * Ask a part: its name, a colon, and its own question. Throws `MalformedQuestion` for anything else, and for a
   * part that answers no questions.
   */
  query(question: Uint8Array): Uint8Array | undefined {
    const colon = question.indexOf(COLON)
    const asked = Buffer.from(question.subarray(0, Math.max(0, colon))).toString()
    const machine = this.#parts.find(({ name }) => name === asked)?.machine
    if (machine?.query !== undefined) return machine.query(question.subarray(colon + 1))
    const parts = this.#parts.filter((part) => part.machine.query !== undefined).map(({ name }) => name)
    throw new MalformedQuestion(
      `a question is a part's name, a colon and its own question; these answer: ${parts.join(', ') || 'none'}`,
    )
  }

  /** Called by the replica, when machine time moved on. */
  advance(timeMs: number): void {
    for (const { machine } of this.#parts) machine.advance?.(timeMs)
  }

  /** The machine time at which something dies next, or an earlier time; undefined if nothing ever does. */
  get dueMs(): number | undefined {
    const due = this.#parts.flatMap(({ machine }) => machine.dueMs ?? [])
    return due.length === 0 ? undefined : Math.min(...due)
  }

  /** Called by the replica, when the group goes over to another version: so do the parts whose version is another. */
  upgrade(from: string, to: string): void {
    const before = this.#versions.ofParts(from)
    const after = this.#versions.ofParts(to)
    for (const [i, { machine }] of this.#parts.entries())
      if (before[i] !== after[i]) machine.upgrade?.(before[i]!, after[i]!)
  }

  /** Called by the replica. */
  capture(signature = this.signature): Snapshot {
    const ofParts = this.#versions.ofParts(signature)
    const captured: PartSnapshot[] = []
    try {
      for (const [i, { name, machine }] of this.#parts.entries())
        captured.push({ name, snapshot: machine.capture(ofParts[i]!) })
      return composedSnapshot(captured, this.#headers)
    } catch (error) {
      releaseAll(captured)
      throw error
    }
  }

  /** Called by the replica. */
  install(signature = this.signature): Installation {
    const ofParts = this.#versions.ofParts(signature)
    const begun: PartInstallation[] = []
    try {
      for (const [i, { name, machine }] of this.#parts.entries())
        begun.push({ name, installation: machine.install(ofParts[i]!) })
    } catch (error) {
      for (const { installation } of begun) installation.abandon?.()
      throw error
    }
    return new ComposedInstallation(begun, this.transaction)
  }

  /** Called by the replica. Undefined if no part has anything to do after an install. */
  get afterInstall(): ((signal: AbortSignal) => Promise<void>) | undefined {
    const parts = this.#parts.filter(({ machine }) => machine.afterInstall !== undefined)
    if (parts.length === 0) return undefined
    return async (signal) => {
      for (const { machine } of parts) await machine.afterInstall?.(signal)
    }
  }

  /** @internal Where its parts and theirs are. */
  get routes(): ReadonlyMap<StateMachine, Route> {
    return this.#routes
  }

  /** With the names of all parts that the part is in. */
  #inFull({ at, part, cause }: BatchRefused, commands: readonly PartCommand[]): BatchRefused {
    const machine = commands[at]?.machine
    return new BatchRefused(at, (machine && this.#routes.get(machine)?.name) ?? part, cause)
  }

  #applyAll(commands: readonly NumberedCommand[], context: CommandContext): unknown[] | BatchRefused {
    // A composition that is a part of another one is in its transaction, and is undone with it.
    const transaction = this.transaction.isOpen ? undefined : this.transaction
    transaction?.begin()
    try {
      const results = this.#resultsOf(commands, context)
      if (results instanceof BatchRefused) transaction?.rollback()
      else transaction?.commit()
      return results
    } catch (error) {
      if (transaction?.isOpen) transaction.rollback()
      throw error
    }
  }

  #resultsOf(commands: readonly NumberedCommand[], context: CommandContext): unknown[] | BatchRefused {
    const results: unknown[] = []
    for (const [at, command] of commands.entries()) {
      const result = this.#resultOf(command, context)
      if (result instanceof Refusal || result instanceof MalformedCommand)
        return new BatchRefused(at, this.#parts[command.part - 1]!.name, result)
      results.push(result)
    }
    return results
  }

  #resultOf(command: NumberedCommand, context: CommandContext): unknown {
    try {
      return this.#applyOne(command, context)
    } catch (error) {
      if (error instanceof MalformedCommand) return error
      throw error
    }
  }

  #applyOne({ part, command }: NumberedCommand, context: CommandContext): unknown {
    const { name, machine } = this.#parts[part - 1]!
    if (this.transaction.isOpen && machine.transaction === undefined) return new NotTransactional(name)
    const { position, timeMs, signature, message } = context
    return machine.apply(command, {
      position,
      timeMs,
      message,
      signature: this.#versions.ofParts(signature)[part - 1]!,
    })
  }
}

/** The way to each part, and to each part of a part. */
function routesTo(parts: readonly Part[]): ReadonlyMap<StateMachine, Route> {
  const routes = new Map<StateMachine, Route>()
  const add = (machine: StateMachine, route: Route) => {
    const known = routes.get(machine)
    if (known !== undefined)
      throw new BadComposition(`${known.name} and ${route.name} are the same machine; make one for each`)
    routes.set(machine, route)
  }
  for (const [i, { name, machine }] of parts.entries()) {
    const number = numberBytes(i + 1)
    add(machine, { name, number })
    if (!(machine instanceof ComposedMachine)) continue
    for (const [inner, route] of (machine as ComposedMachine<Parts>).routes)
      add(inner, { name: `${name}.${route.name}`, number: [...number, ...route.number] })
  }
  return routes
}

function commandsOf(parts: readonly Part[]): object {
  const commands: Record<string, object> = Object.create(null)
  for (const { name, machine } of parts) {
    const own: unknown = 'commands' in machine ? machine.commands : undefined
    if (machine instanceof ComposedMachine) commands[name] = machine.commands
    else if (typeof own === 'object' && own !== null) commands[name] = partCommands(machine, own)
  }
  return Object.freeze(commands)
}
