import { CheckpointFailed } from '../../checkpoint/errors.ts'
import type { CheckpointStore } from '../../checkpoint/store.ts'
import { formatPosition, type Position } from '../../position.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import { CutFailed } from '../../sync/wire/errors.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { Ticker } from '../../time/ticker.ts'
import type { Applier } from '../following/applier.ts'
import type { Reporter } from '../reporter.ts'
import type { OwnState } from '../snapshots/own-state.ts'
import type { Status } from '../status.ts'

/**
 * When a replica with a data directory writes its state to it: when the first of these limits is reached.
 * While nobody writes, no checkpoint is written. Each amount is a number from 1, or `Infinity` for never.
 */
export interface CheckpointPolicy {
  /** Commands since the last checkpoint. Default 100,000. */
  readonly everyCommands?: number
  /** Bytes of commands since the last checkpoint. Default 64 MiB. */
  readonly everyBytes?: number
  /** Time since the last checkpoint, in milliseconds. Default 600,000. */
  readonly everyMs?: number
  /** When the replica is stopped. Default true. */
  readonly onStop?: boolean
  /** How many checkpoints are kept, an integer from 1. Default 2. */
  readonly keep?: number
}

export const KEEP_CHECKPOINTS_DEFAULT = 2
const EVERY_COMMANDS_DEFAULT = 100_000
const EVERY_BYTES_DEFAULT = 64 * 1024 * 1024
const EVERY_MS_DEFAULT = 600_000
const POLL_INTERVAL_MS = 1_000
/**
 * Pause after a marker that brought no checkpoint, in milliseconds, since each marker costs the group a
 * capture. It doubles each time.
 */
const RETRY_MS = 2_000
/**
 * Pause after a checkpoint that the disk did not take, in milliseconds: somebody has to make room first. It
 * doubles each time.
 */
const DISK_RETRY_MS = 30_000
/**
 * The longest pause of both kinds, in milliseconds. What was mended is noticed within five minutes, and
 * `mark()` has a checkpoint written at once.
 */
const RETRY_MS_MAX = 300_000
/**
 * How long a snapshot that others asked for waits to be written, in milliseconds: the joiner is served first.
 */
const OFFER_DELAY_MS = 1_000
/** Reuse an existing anchor once a checkpoint is at least half due. */
const ENOUGH = 1 / 2

/** Commands that were applied since the replica was started. */
export interface Applied {
  readonly index: number
  readonly commands: number
  readonly commandBytes: number
}

/** Keeps checkpoints: see `CheckpointStore.write`. */
export interface CheckpointWriter {
  readonly newest: number
  write(source: CheckpointSource, signal: AbortSignal): Promise<void>
}

/** What a checkpoint is written from. */
export type CheckpointSource = Omit<Parameters<CheckpointStore['write']>[0], 'signature'>

export interface CheckpointerInit {
  readonly store: CheckpointWriter
  readonly policy: CheckpointPolicy
  readonly epoch: string
  readonly clock: Clock
  /** How long an electorate has to agree, in milliseconds. */
  readonly sealTimeoutMs: number
  readonly applier: Pick<Applier<unknown>, 'applied' | 'commands' | 'commandBytes'>
  /** A replica in sync follows the log, and may have the group capture. */
  readonly status: Pick<Status, 'state'>
  readonly ownState: Pick<OwnState, 'cut'>
  readonly reporter: Pick<Reporter, 'problem'>
}

/** Where the group's snapshots come from. */
export type AnchorSource = Pick<SnapshotSync, 'requestAnchor' | 'hold' | 'whyGone'>

/** Whether the state may be what the next life begins with. */
export interface Trust {
  readonly isTrusted: boolean
}

/**
 * Writes checkpoints. Each is a snapshot that the group agreed on, so that all replicas write the same one at
 * the same anchor, and pruning can rely on it. Only a replica that stops writes what it has.
 */
export class Checkpointer {
  readonly #init: CheckpointerInit
  readonly #stopping = new AbortController()
  /** Undefined before the start. */
  #sync: AnchorSource | undefined
  #ticker: Ticker | undefined
  #writing: Promise<void> = Promise.resolve()
  /** The state came from other replicas, and is not on this one's disk. */
  #foreign = false
  /** No anchor up to here can be written: this replica has no snapshot of it. */
  #above = 0
  /** For each anchor that this replica holds a snapshot of: what had been applied there. */
  readonly #captured = new Map<number, Applied>()
  /** The newest anchor that the group agreed on, and that this replica captured. */
  #agreed: Position | undefined
  /** The anchor that this replica asked for, and that is neither agreed on nor gone. */
  #asked: { readonly anchor: Position; readonly atMs: number } | undefined
  /** The newest state that could not be cut, by the number of commands in it. The same state never can be. */
  #uncut: number | undefined
  /** Why the last try brought no checkpoint, if it did not. */
  #failure: string | undefined
  /** Tries in a row that brought no checkpoint, and when the next one is due. */
  #vain = 0
  #notBeforeMs = Number.NEGATIVE_INFINITY
  /** What had been applied at the last checkpoint, and when that was. */
  #last: Applied & { readonly atMs: number }

  constructor(init: CheckpointerInit) {
    this.#init = init
    this.#last = { ...this.#applied, atMs: init.clock.now() }
  }

  /** Begin, with what was loaded. */
  start(sync: AnchorSource): void {
    const { clock, reporter } = this.#init
    this.#sync = sync
    this.#last = { ...this.#applied, atMs: clock.now() }
    this.#ticker = new Ticker({
      clock,
      label: 'checkpoint',
      intervalMs: POLL_INTERVAL_MS,
      run: (signal) => this.#look(sync, signal),
      onError: (error) => reporter.problem(error),
    })
  }

  /** This replica captured at this anchor, right now. */
  captured(anchor: Position): void {
    this.#captured.set(anchor.index, this.#applied)
  }

  /** @param why it could not be cut, if that is the cause */
  released(anchor: Position, why?: string): void {
    if (why !== undefined) {
      this.#uncut = this.#captured.get(anchor.index)?.commands
      this.#failure = why
    }
    this.#captured.delete(anchor.index)
  }

  /** What makes the next checkpoint due, for people. */
  get outlook(): string {
    const { everyCommands, everyBytes, everyMs } = limitsOf(this.#init.policy)
    const commands = this.#applied.commands - this.#last.commands
    const due = `after ${everyCommands} commands, ${everyBytes} bytes of commands or ${everyMs} ms, whichever is first`
    const failure = this.#failure === undefined ? '' : `, but the last try failed: ${this.#failure}`
    return `${due}, and ${commands} commands are in by now${failure}`
  }

  /** A snapshot from other replicas took the state's place. */
  installed(anchor: Position): void {
    this.#foreign = true
    this.#above = anchor.index
  }

  /** The group agreed on what this replica captured at this anchor. */
  sealed(anchor: Position): void {
    this.#agreed = anchor
    if (this.#asked !== undefined && this.#asked.anchor.index <= anchor.index) this.#asked = undefined
    const { clock } = this.#init
    // The joiners of this anchor come first. The checkpoint is written all the same, so that the offer
    // survives a restart.
    const delayMs = this.#due() >= ENOUGH ? 0 : OFFER_DELAY_MS
    this.#writing = this.#writing
      .then(() => sleep(clock, delayMs, this.#stopping.signal))
      .then(() => this.#write(anchor))
      .catch(() => {
        // Stopped before.
      })
  }

  /**
   * Write a last checkpoint, if there is anything new and the state can be trusted by then. Nothing is
   * written after it.
   */
  async stop(trust: Trust): Promise<void> {
    this.#stopping.abort(new Error('the replica is stopping'))
    await this.#ticker?.stop()
    await this.#writing
    const { policy, applier, store, reporter } = this.#init
    const isNew = this.#foreign || applier.commands > this.#last.commands
    if (!isNew || applier.applied <= store.newest || policy.onStop === false || !trust.isTrusted) return
    await this.#writeOwn().catch((error: Error) => reporter.problem(error))
  }

  get #applied(): Applied {
    const { applied: index, commands, commandBytes } = this.#init.applier
    return { index, commands, commandBytes }
  }

  async #look(sync: AnchorSource, signal: AbortSignal): Promise<void> {
    const { status, applier, clock } = this.#init
    if (status.state !== 'in-sync' || this.#due() < 1 || clock.now() < this.#notBeforeMs) return
    if (this.#uncut === applier.commands) return
    const anchor = await this.#request(sync, signal)
    // An anchor that this replica has not applied yet is written when it is sealed.
    if (anchor === undefined || anchor.index > applier.applied) return
    const held = sync.hold(anchor)
    held?.release()
    if (held !== undefined) {
      if (anchor.index === this.#agreed?.index) this.sealed(anchor)
      return
    }
    this.#above = anchor.index
    this.#asked = undefined
    const why =
      sync.whyGone(anchor) ?? new Error(`this replica has captured nothing at ${formatPosition(anchor)}`)
    this.#inVain(RETRY_MS, why)
  }

  /** Have the group name an anchor. Undefined when it does not, which was reported then. */
  async #request(sync: AnchorSource, signal: AbortSignal): Promise<Position | undefined> {
    const { applier, epoch, clock, sealTimeoutMs } = this.#init
    // An anchor in the second half of what is not written yet will do, and spares the group a marker.
    const half = this.#last.index + Math.floor((applier.applied - this.#last.index) * ENOUGH)
    try {
      const anchor = await sync.requestAnchor({ epoch, index: Math.max(this.#above, half) }, signal)
      const nowMs = clock.now()
      if (anchor.index === this.#asked?.anchor.index) return anchor
      if (this.#asked !== undefined && nowMs - this.#asked.atMs >= sealTimeoutMs) {
        const where = formatPosition(this.#asked.anchor)
        this.#inVain(RETRY_MS, new Error(`the group has not agreed on its state at ${where} in time`))
      }
      this.#asked = { anchor, atMs: nowMs }
      return anchor
    } catch (error) {
      signal.throwIfAborted()
      this.#inVain(RETRY_MS, asError(error))
      return undefined
    }
  }

  /** A try brought no checkpoint. The pause before the next one grows with their number. */
  #inVain(firstMs: number, cause: Error): void {
    const { clock, reporter } = this.#init
    this.#failure = cause.message
    const retryMs = Math.min(firstMs * 2 ** this.#vain++, RETRY_MS_MAX)
    this.#notBeforeMs = clock.now() + retryMs
    // The reason why a state cannot be cut was reported by the part that tried.
    if (cause instanceof CutFailed) return
    reporter.problem(firstMs === RETRY_MS ? new CheckpointFailed(cause.message, retryMs, { cause }) : cause)
  }

  /** How due a checkpoint is: 0 when nothing was written since the last one, and due from 1 on. */
  #due(): number {
    const { policy, applier, clock } = this.#init
    const { everyCommands, everyBytes, everyMs } = limitsOf(policy)
    const { commands, commandBytes } = applier
    if (this.#foreign) return 1
    const since = commands - this.#last.commands
    if (since === 0) return 0
    return Math.max(
      since / everyCommands,
      (commandBytes - this.#last.commandBytes) / everyBytes,
      (clock.now() - this.#last.atMs) / everyMs,
    )
  }

  async #write(position: Position): Promise<void> {
    const { store, clock } = this.#init
    const held = position.index > store.newest ? this.#sync?.hold(position) : undefined
    if (held === undefined) return
    // Entries that are applied meanwhile are not in it.
    const captured = this.#captured.get(position.index) ?? this.#applied
    try {
      const { signal } = this.#stopping
      const { manifest } = held.cut
      if (manifest === undefined) return
      const chunk = (index: number) => held.cut.chunk(index)
      await store.write({ position, sealed: true, manifest, chunk }, signal)
      this.#last = { ...captured, atMs: clock.now() }
      this.#foreign = false
      this.#vain = 0
      this.#failure = undefined
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      this.#inVain(DISK_RETRY_MS, asError(error))
    } finally {
      held.release()
    }
  }

  /** Nobody else captures here: the root is this replica's word alone. */
  async #writeOwn(): Promise<void> {
    const { store, epoch, applier, ownState } = this.#init
    const position = { epoch, index: applier.applied }
    const { signal } = new AbortController()
    const { release, ...state } = await ownState.cut(signal)
    try {
      await store.write({ position, sealed: false, ...state }, signal)
    } finally {
      release()
    }
  }
}

function limitsOf({ everyCommands, everyBytes, everyMs }: CheckpointPolicy) {
  return {
    everyCommands: everyCommands ?? EVERY_COMMANDS_DEFAULT,
    everyBytes: everyBytes ?? EVERY_BYTES_DEFAULT,
    everyMs: everyMs ?? EVERY_MS_DEFAULT,
  }
}
