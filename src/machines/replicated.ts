import { GuardedEvents } from '../guarded-events.ts'
import { AlreadyAttached, NotAttached, Refusal } from '../machine/errors.ts'
import type {
  CommandContext,
  Installation,
  MachineHost,
  Snapshot,
  StateMachine,
  SubmitOptions,
  Transaction,
  Written,
} from '../machine/machine.ts'
import { EventTransaction } from './event-transaction.ts'

/** The events of a machine whose changes are told as `Change`. */
export type ChangeEvents<Change> = {
  /** One for each thing that a command changed, after the whole command is applied. */
  change: CustomEvent<Change>
  /** A snapshot replaced the whole state. Its contents come without a `change`. */
  reset: CustomEvent<{ readonly size: number }>
}

/**
 * What the machines of the family have in common: they are written by commands, tell what changed, and are read
 * locally.
 *
 * @typeParam Result what `apply` returns. If a `Refusal` is among it, that is for a command that is well formed and
 *   cannot be obeyed: the state is unchanged, and the write rejects with it.
 */
export abstract class Replicated<Change, Result>
  extends GuardedEvents<ChangeEvents<Change>>
  implements StateMachine<Result>
{
  abstract readonly signature: string
  #host: MachineHost<Result> | undefined
  #transaction: EventTransaction | undefined

  /** Called by the replica. */
  attach(host: MachineHost<Result>): void {
    if (this.#host !== undefined) throw new AlreadyAttached()
    this.#host = host
  }

  /** Called by the replica, for each committed command. */
  apply(command: Uint8Array, context?: Pick<CommandContext, 'timeMs'>): Result {
    if (context !== undefined) this.advance(context.timeMs)
    const changes: Change[] | undefined = this.listenerCount('change') === 0 ? undefined : []
    const result = this.execute(command, changes)
    if (changes !== undefined) for (const change of changes) this.tell(change)
    return result
  }

  /** Called by the replica, when machine time moved on. */
  abstract advance(timeMs: number): void

  /** The machine time at which something dies next, or an earlier time; undefined if nothing ever does. */
  abstract readonly dueMs: number | undefined

  /** Called by the replica. */
  abstract capture(): Snapshot

  /** Called by the replica. */
  abstract install(): Installation

  /** @internal For `compose`. Undefined: the machine cannot undo commands. */
  get transaction(): Transaction | undefined {
    if (this.undoable === undefined) return undefined
    this.#transaction ??= new EventTransaction(() => this.undoable ?? [])
    return this.#transaction
  }

  /** All that commands change. A machine that has it can undo commands. */
  protected get undoable(): readonly Transaction[] | undefined {
    return undefined
  }

  /**
   * Obey a command.
   *
   * @param changes takes what changed; undefined if nobody listens
   * @throws {MalformedCommand} before anything is changed
   */
  protected abstract execute(command: Uint8Array, changes: Change[] | undefined): Result

  protected tell(change: Change): void {
    this.#tell(() => this.safeDispatchEvent('change', { detail: change }))
  }

  protected tellReset(size: number): void {
    this.#tell(() => this.safeDispatchEvent('reset', { detail: { size } }))
  }

  /** Throws `NotReadable` while there is no state to read. */
  protected assertReadable(): void {
    this.#host?.assertReadable()
  }

  protected async write<R extends Result>(
    command: Uint8Array,
    options: SubmitOptions | undefined,
  ): Promise<Written<R>> {
    if (this.#host === undefined) throw new NotAttached()
    const written = await this.#host.submit(command, options)
    if (written.result instanceof Refusal) throw written.result
    return written as Written<R>
  }

  /** In a transaction, events wait for its end. */
  #tell(dispatch: () => void): void {
    if (this.#transaction?.isOpen) this.#transaction.atCommit(dispatch)
    else dispatch()
  }
}

/** What a machine is, for its signature: its format, and what decides about its bytes. */
export function signatureOf(format: string, parts: Readonly<Record<string, string | undefined>>): string {
  const known = Object.entries(parts).filter(([, value]) => value !== undefined && value !== '')
  return [format, ...known.map(([part, value]) => `${part}=${encodeURIComponent(value!)}`)].join(';')
}
