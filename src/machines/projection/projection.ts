import { checkText, OLDER_MAX, SIGNATURE_BYTES_MAX } from '../../bounds.ts'
import { type Codec, jsonCodec } from '../../machine/codec.ts'
import { Refusal } from '../../machine/errors.ts'
import {
  type CommandContext,
  type Installation,
  type MachineHost,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
  type Transaction,
} from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import { ComposedMachine } from '../compose/composed-machine.ts'
import { PartCommand } from '../compose/part-command.ts'
import type { Parts } from '../compose/parts.ts'
import { ReadOnlyState } from './errors.ts'

/** What `ProjectionInit.on` may know of a message besides its contents. */
export interface EventContext extends Omit<CommandContext, 'signature'> {
  /** The version of the projection that the group speaks at this position: `version`, or one of `older`. */
  readonly version: string
}

/** A command for the state: as its own `commands` make it, or those of a composition. */
export type StateCommand = Uint8Array | PartCommand

/** What a `projection` is made of. */
export interface ProjectionInit<Event> {
  /**
   * A name for what `on` does, with a number, such as `order-totals/1`. It is part of the signature: give another
   * number when `on` makes something else of the same messages.
   */
  readonly version: string
  /**
   * Older versions that `on` still knows, at most 16, the newest first. It then does what `context.version` says.
   * Default: none.
   */
  readonly older?: readonly string[]
  /**
   * What the messages become: a map, a set, or any other machine that can undo commands; `compose` makes one of
   * several. It is read as ever, and written by the projection alone.
   */
  readonly state: StateMachine
  /**
   * Which messages are for it, by their subjects and headers. The others change nothing, and are not decoded. It must
   * look at nothing but the context. Default: all are.
   */
  wants?(context: EventContext): boolean
  /** How messages are decoded. A message that it throws for is skipped, on every replica alike. Default: JSON. */
  readonly codec?: Pick<Codec<Event>, 'decode'>
  /**
   * What a message changes: yield commands for the state, each of which is applied before the next one is asked for.
   * It must look at nothing but the message, the context and the state. If it throws, or yields what is no command for
   * the state, the message makes no sense: it is skipped on every replica alike, nothing of it is kept, and the replica
   * tells so. Whoever may write to the stream can then not stop the group.
   */
  on(event: Event, context: EventContext): Iterable<StateCommand>
}

/**
 * A state that is made of a stream of messages, which are no commands of its own: others write them. Each message
 * changes the state as a whole, or not at all: if the state refuses a command (`Refusal`), the message is undone.
 *
 * Throws `RangeError` for a state that cannot undo commands, for one that keeps itself on the disk (`sqliteMachine`
 * gets the messages without a projection), and for versions that are none.
 *
 * @example
 * ```ts
 * const totals = new ReplicatedMap<string, number>()
 * const machine = projection<Order>({
 *   version: 'order-totals/1',
 *   state: totals,
 *   *on({ customer, amount }) {
 *     yield totals.commands.set(customer, (totals.get(customer) ?? 0) + amount)
 *   },
 * })
 * await using replica = await createReplica({ group: 'totals', machine, log })
 * ```
 */
export function projection<Event>(init: ProjectionInit<Event>): Projection<Event> {
  return new Projection(init)
}

/** See `projection`. The result of a message is the list of its commands' results. */
export class Projection<Event> implements StateMachine<readonly unknown[] | Refusal> {
  readonly signature: string
  readonly older: readonly string[]
  readonly #init: ProjectionInit<Event>
  readonly #codec: Pick<Codec<Event>, 'decode'>
  readonly #transaction: Transaction
  /** The versions by their signatures. */
  readonly #versions: ReadonlyMap<string, string>
  #isApplying = false

  constructor(init: ProjectionInit<Event>) {
    const { version, older = [], state, codec = jsonCodec<never>() } = init
    const { transaction } = state
    if (transaction === undefined || !canUndo(state)) {
      throw new RangeError(
        'state cannot undo commands; give a map, a set, a list, a queue, a register, or a composition of these',
      )
    }
    if (older.length > OLDER_MAX)
      throw new RangeError(`older has ${older.length} versions; give at most ${OLDER_MAX}`)
    this.#init = init
    this.#codec = codec
    this.#transaction = transaction
    this.#versions = new Map([version, ...older].map((each) => [signatureOf(each, state), each]))
    const [signature, ...others] = this.#versions.keys()
    this.signature = signature!
    this.older = others
  }

  /** Called by the replica. */
  attach(host: MachineHost<readonly unknown[] | Refusal>): void {
    this.#init.state.attach?.({
      submit: async () => {
        throw new ReadOnlyState()
      },
      // What a message reads is what the messages before it left.
      assertReadable: () => this.#isApplying || host.assertReadable(),
    })
  }

  /** Called by the replica, for each message. */
  apply(message: Uint8Array, { signature, ...context }: CommandContext): readonly unknown[] | Refusal {
    const { state } = this.#init
    // A state that expires is read at the message's time.
    state.advance?.(context.timeMs)
    const about = { ...context, version: this.#versions.get(signature) ?? this.#init.version }
    if (!this.#wants(about)) return []
    const event = this.#decode(message)
    this.#transaction.begin()
    this.#isApplying = true
    let isDone = false
    try {
      const results: unknown[] = []
      for (const command of aboutMessage(() => this.#init.on(event, about))) {
        const result = state.apply(this.#bytesOf(command), { ...context, signature: state.signature })
        if (result instanceof Refusal) return result
        results.push(result)
      }
      isDone = true
      return results
    } finally {
      this.#isApplying = false
      if (isDone) this.#transaction.commit()
      else this.#transaction.rollback()
    }
  }

  /** Called by the replica, when machine time moved on. */
  advance(timeMs: number): void {
    this.#init.state.advance?.(timeMs)
  }

  get dueMs(): number | undefined {
    return this.#init.state.dueMs
  }

  /** Called by the replica. */
  capture(): Snapshot {
    const { state } = this.#init
    return state.capture(state.signature)
  }

  /** Called by the replica. */
  install(): Installation {
    const { state } = this.#init
    return state.install(state.signature)
  }

  /** Called by the replica. Undefined if the state has nothing to do after an install. */
  get afterInstall(): ((signal: AbortSignal) => Promise<void>) | undefined {
    const { state } = this.#init
    return state.afterInstall && (async (signal) => await state.afterInstall?.(signal))
  }

  /** Ask the state. Throws `MalformedQuestion` as it does. */
  query(question: Uint8Array): Uint8Array | undefined {
    return this.#init.state.query?.(question)
  }

  #wants(context: EventContext): boolean {
    try {
      return this.#init.wants?.(context) ?? true
    } catch (error) {
      throw senseless(error)
    }
  }

  #decode(message: Uint8Array): Event {
    try {
      // It may be a view of a larger buffer, and what is decoded may be kept.
      return this.#codec.decode(new Uint8Array(message))
    } catch (error) {
      throw senseless(error)
    }
  }

  #bytesOf(command: StateCommand): Uint8Array {
    const { state } = this.#init
    if (command instanceof Uint8Array) return command
    if (command instanceof PartCommand && command.machine === state) return command.command
    try {
      if (state instanceof ComposedMachine) return (state as ComposedMachine<Parts>).encodeAll([command])
    } catch (error) {
      throw senseless(error)
    }
    throw new MalformedCommand('on() yields what is no command for the state')
  }
}

/** The same commands. What their maker throws, and only that, is about the message. */
function* aboutMessage(make: () => Iterable<StateCommand>): Generator<StateCommand> {
  try {
    yield* make()
  } catch (error) {
    throw senseless(error)
  }
}

function senseless(error: unknown): MalformedCommand {
  if (error instanceof MalformedCommand) return error
  const { name, message } = asError(error)
  return new MalformedCommand(`the message makes no sense: ${name}: ${message}`, { cause: error })
}

/** Whether every command can be undone, for whichever part it is. */
function canUndo(state: StateMachine): boolean {
  if (state instanceof ComposedMachine) return Object.values<StateMachine>(state.parts).every(canUndo)
  return state.transaction !== undefined && state.durable === undefined
}

/** Says what the messages become, and how. */
function signatureOf(version: string, { signature }: StateMachine): string {
  checkText('a version', version, SIGNATURE_BYTES_MAX)
  return `${version} of ${signature}`
}
