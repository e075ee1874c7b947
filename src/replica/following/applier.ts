import { type CarriedState, decodeGroupState } from '../../group/carried-state.ts'
import { Conflict, GroupOutdated } from '../../group/errors.ts'
import type { GroupState } from '../../group/group-state.ts'
import type { Outcome } from '../../group/outcome.ts'
import type { Verdict } from '../../group/recent-writes.ts'
import type { Cursor, LogBatch, LogEntry, LogTail } from '../../log/log.ts'
import { Refusal } from '../../machine/errors.ts'
import { MalformedCommand, type StateMachine } from '../../machine/machine.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import type { Clock } from '../../time/clock.ts'
import { Yielder } from '../../time/yielder.ts'
import type { Kept, KeptState } from '../disk/kept-state.ts'
import { ApplyFailed } from '../errors.ts'
import { GenesisAhead, genesisIn } from '../import/genesis-reader.ts'
import { AfterInstall } from './after-install.ts'
import { Installing, orInstallFailed } from './installing.ts'
import { Waiters } from './waiters.ts'
import { type Fate, Writes } from './writes.ts'

export interface ApplierInit<Result> {
  readonly machine: StateMachine<Result>
  readonly epoch: string
  /** This replica's id, to know its own writes by. */
  readonly self: string
  readonly clock: Clock
  /** Goes with the machine: an install replaces both. */
  readonly group: GroupState
  /** Where the machine keeps its state, if it does: what is applied is committed there with its place. */
  readonly kept?: KeptState | undefined
}

/** Is told what came of each entry, before the next one is applied. */
export interface EntryListener {
  /** A control entry was applied. */
  decided(outcome: Outcome, entry: LogEntry, newest: LogTail): void
  /** A command was skipped because it does not decode, on every replica alike. */
  skipped(entry: LogEntry, error: MalformedCommand): void
}

/** Entries between two looks at the clock, so that a look costs little beside them. */
const ENTRIES_PER_LOOK = 128

/**
 * Applies the log to the state machine and to the group's state, in order, or replaces both by a snapshot.
 */
export class Applier<Result> {
  readonly writes: Writes<Result>
  readonly waiters = new Waiters()
  readonly #init: ApplierInit<Result>
  readonly #afterInstall: AfterInstall
  #cursor: Cursor = { index: 0 }
  #appliedAtMs: number
  #commands = 0
  #commandBytes = 0
  /**
   * One for all batches: small batches that follow each other at once must not block the event loop either.
   */
  readonly #yielder: Yielder
  #sinceLook = 0
  /** The results of entries that are applied and not yet committed: nobody is told of them before that. */
  readonly #uncommitted: { readonly entry: LogEntry; readonly fate: Fate<Result> | undefined }[] = []
  /** Up to here everything is committed. */
  #committed: Cursor = { index: 0 }

  constructor(init: ApplierInit<Result>) {
    this.#init = init
    this.#afterInstall = new AfterInstall(init.machine)
    this.#appliedAtMs = init.clock.now()
    this.#yielder = new Yielder(init.clock, 'apply')
    this.writes = new Writes(init.epoch, init.self, init.group)
    if (init.kept?.newest !== undefined) this.#resume(init.kept.newest)
  }

  /** The newest entry that is in the state. */
  get applied(): number {
    return this.#cursor.index
  }

  /** The machine is not done with a state that was installed: it cannot be read, and nothing is applied to it. */
  get isInstalling(): boolean {
    return this.#afterInstall.isDue
  }

  /** When an entry was applied last, or when this replica began, by its own clock. */
  get appliedAtMs(): number {
    return this.#appliedAtMs
  }

  /** Commands applied since this process began. */
  get commands(): number {
    return this.#commands
  }

  /** The bytes of these commands. */
  get commandBytes(): number {
    return this.#commandBytes
  }

  /** Where reading the log goes on. */
  get cursor(): Cursor {
    return this.#cursor
  }

  /** Apply a batch in slices, so that the event loop stays free. Throws `ApplyFailed`. */
  async apply(batch: LogBatch, listener: EntryListener, signal: AbortSignal): Promise<void> {
    this.#yielder.resume()
    try {
      for (const entry of batch.entries) {
        this.#applyEntry(entry, batch.newest, listener)
        if (++this.#sinceLook < ENTRIES_PER_LOOK) continue
        this.#sinceLook = 0
        if (this.#yielder.due()) {
          this.#commit()
          this.waiters.reached(this.applied)
          await this.#yielder.rest()
          signal.throwIfAborted()
        }
      }
      this.#commit()
    } catch (error) {
      this.#undo()
      throw error
    } finally {
      this.waiters.reached(this.applied)
      this.#yielder.pause()
    }
    const last = { index: this.applied, id: batch.entries.at(-1)!.id }
    this.#cursor = last
    // The entry holds the buffer that it came in.
    this.#init.group.reached(last)
    this.#appliedAtMs = this.#init.clock.now()
  }

  /**
   * Build a new state beside the current one, in slices. Nothing changes before `commit`. Then everything
   * does.
   * @param signature the version of the machine that the snapshot is of
   */
  beginInstall(signal: AbortSignal, signature: () => string | Promise<string>): StateBuilder {
    const { machine, clock, kept } = this.#init
    return new Installing({
      machine,
      clock,
      signature,
      signal,
      onCommit: ({ anchor, control, carried }, commit) => {
        this.#init.group.assertRestorable(carried)
        this.#afterInstall.replacing(() => {
          if (kept === undefined) commit()
          else kept.install(anchor.index, control, commit)
          this.#restore(anchor.index, carried)
        })
        if (!this.isInstalling) this.#tellCovered()
      },
    })
  }

  /**
   * Have the machine do what is to be done after an install, before anything is applied. Rejects with
   * `InstallFailed`.
   */
  async finishInstall(signal: AbortSignal): Promise<void> {
    if (!this.isInstalling) return
    await this.#afterInstall.run(signal)
    this.#tellCovered()
  }

  /** Nothing will be applied before `recover`, if ever. Callers that wait for it are told why. */
  fail(reason: Error): void {
    this.writes.fail(reason)
    this.waiters.fail(reason)
  }

  recover(): void {
    this.writes.recover()
  }

  /** Go on from the state that the machine has kept. */
  #resume({ position, control }: Kept): void {
    const carried = decodeGroupState(control)
    this.#init.group.assertRestorable(carried)
    this.#afterInstall.replacing(() => this.#restore(position.index, carried))
  }

  /** What an installed snapshot covers can be read now. */
  #tellCovered(): void {
    this.writes.covered(this.applied)
    this.waiters.reached(this.applied)
  }

  #restore(index: number, carried: CarriedState): void {
    this.#init.group.restore(carried)
    this.#cursor = { index, ...(carried.entryId !== '' && { id: carried.entryId }) }
    this.#committed = this.#cursor
    orInstallFailed(() => this.#init.machine.advance?.(carried.timeMs))
  }

  /** Make what was applied durable, in one transaction with its place, and give the results back. */
  #commit(): void {
    const { kept, epoch, group } = this.#init
    if (kept === undefined || this.applied === this.#committed.index) return
    try {
      kept.commit(this.applied, group.encode())
    } catch (error) {
      throw new ApplyFailed({ epoch, index: this.applied }, error)
    }
    this.#committed = this.#cursor
    for (const { entry, fate } of this.#uncommitted.splice(0)) this.writes.applied(entry, fate)
  }

  /** What was not committed is in no state that anybody can read, nor in that of the next life. */
  #undo(): void {
    if (this.#init.kept === undefined) return
    this.#uncommitted.length = 0
    this.#cursor = this.#committed
  }

  #applyEntry(entry: LogEntry, newest: LogTail, listener: EntryListener): void {
    const { epoch, group } = this.#init
    const { index } = entry
    const own = entry.epoch === epoch
    // The state is not the snapshot that the log begins with: that one's next entry is the second.
    if (genesisIn(entry, epoch) !== undefined) throw new GenesisAhead()
    if (own && entry.kind === 'control') this.#assertSpoken(entry)
    group.reached(entry)
    if (own && group.advance(entry.timestampMs)) this.#advanceMachine(index)
    const outcome = own && entry.kind === 'control' ? group.apply(entry) : undefined
    let result: Result | undefined
    if (own && entry.kind === 'command') result = this.#applyCommand(entry, entry.payload, listener)
    else if (outcome?.type === 'met') {
      const { command, key } = outcome.guarded
      result = this.#applyCommand(entry, command, listener, key)
    }
    if (outcome?.type === 'upgraded') this.#upgradeMachine(outcome.from, outcome.to, index)
    this.#cursor = { index }
    if (this.writes.wanted) this.#tell(entry, fateOf(entry, epoch, outcome, result))
    // What follows from an outcome may read the state: it is captured at a marker.
    if (outcome === undefined || isVerdict(outcome)) return
    this.#commit()
    listener.decided(outcome, entry, newest)
  }

  /**
   * Who stops here keeps a state that can be read, and exported: what was applied before is not undone. And a
   * machine that keeps its state may have to begin the change of it outside of any transaction.
   */
  #assertSpoken(entry: LogEntry): void {
    let isLast = true
    try {
      isLast = this.#init.group.assertSpoken(entry)
    } finally {
      if (isLast) this.#commit()
    }
  }

  #tell(entry: LogEntry, fate: Fate<Result> | undefined): void {
    if (this.#init.kept === undefined) this.writes.applied(entry, fate)
    else this.#uncommitted.push({ entry, fate })
  }

  #advanceMachine(index: number): void {
    const { machine, epoch, group } = this.#init
    try {
      machine.advance?.(group.timeMs)
    } catch (error) {
      throw new ApplyFailed({ epoch, index }, error)
    }
  }

  /** The same position of the log changes the group's state and the machine's, before anything is captured there. */
  #upgradeMachine(from: string, to: string, index: number): void {
    const { machine, epoch } = this.#init
    if (from === to) return
    try {
      machine.upgrade?.(from, to)
    } catch (error) {
      throw new ApplyFailed({ epoch, index }, error)
    }
  }

  /** @param key of the write, to be remembered if it is obeyed */
  #applyCommand(
    entry: LogEntry,
    command: Uint8Array,
    listener: EntryListener,
    key?: Uint8Array,
  ): Result | undefined {
    const { machine, epoch, group } = this.#init
    const { index } = entry
    const position = { epoch, index }
    this.#commands++
    this.#commandBytes += command.length
    try {
      const { timeMs, signature } = group
      const { message } = entry
      const result = machine.apply(command, { position, timeMs, signature, message })
      group.commanded(index, result instanceof Refusal ? undefined : key)
      return result
    } catch (error) {
      if (!(error instanceof MalformedCommand)) throw new ApplyFailed(position, error)
      group.commanded(index)
      listener.skipped(entry, error)
      return undefined
    }
  }
}

function isVerdict(outcome: Outcome | Verdict): outcome is Verdict {
  return outcome.type === 'met' || outcome.type === 'repeated' || outcome.type === 'conflict'
}

/** Undefined for an entry that is no write. */
function fateOf<Result>(
  { kind }: LogEntry,
  epoch: string,
  outcome: Outcome | Verdict | undefined,
  result: Result | undefined,
): Fate<Result> | undefined {
  if (kind === 'command') return { type: 'applied', result }
  switch (outcome?.type) {
    case 'met':
      return { type: 'applied', result }
    case 'repeated':
      return outcome
    case 'conflict': {
      const { expected, newest } = outcome
      return { type: 'refused', error: new Conflict({ epoch, index: expected }, { epoch, index: newest }) }
    }
    case 'void':
      if (outcome.format === undefined) return undefined
      return { type: 'refused', error: new GroupOutdated('commands with conditions', outcome.format) }
    default:
      return undefined
  }
}
