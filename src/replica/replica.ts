import type { ReplicaState } from '../group/announcement.ts'
import type { CatchUpProgress } from '../group/catch-up-progress.ts'
import type { AnchorVotes } from '../group/group-state.ts'
import type { Member } from '../group/membership.ts'
import type { LogHold } from '../group/pruning.ts'
import type { SilentMember } from '../group/silent-members.ts'
import { GuardedEvents } from '../guarded-events.ts'
import { isConnected, type SignalOptions } from '../log/log.ts'
import type { MachineHost, SubmitOptions, Written } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import type { ChunkMap } from '../sync/fetching/index.ts'
import type { OfferView } from '../sync/wire/messages.ts'
import type { Counted, ReplicaEvent, ReplicaEvents } from './events.ts'
import type { LogLag } from './following/positions.ts'
import type { UpgradeOptions } from './membership/upgrader.ts'
import type { ReplicaParts } from './parts.ts'
import { stopParts } from './stop.ts'

/**
 * One process's copy of the state machine: it follows the log, and catches up from its peers when it lags.
 */
export class Replica<Result = unknown>
  extends GuardedEvents<ReplicaEvents>
  implements MachineHost<Result>, AsyncDisposable
{
  /** This replica's PeerId, as text. */
  readonly id: string
  readonly #parts: ReplicaParts<Result>
  #stopped: Promise<void> | undefined

  /** @internal Use `createReplica`. */
  constructor(parts: ReplicaParts<Result>) {
    super()
    this.id = parts.network.self
    this.#parts = parts
    parts.reporter.reportTo(this)
  }

  /** The group's name. */
  get group(): string {
    return this.#parts.groupName
  }

  /** What this replica is doing. Each change is a `state` event. */
  get state(): ReplicaState {
    return this.#parts.status.state
  }

  /** What halted or stopped this replica, or keeps it from having a state. Undefined while nothing does. */
  get failure(): Error | undefined {
    return this.#parts.status.failure
  }

  /** The newest position whose entry is in the state. */
  get position(): Position {
    return this.#parts.positions.current
  }

  /** False while the log's servers cannot be reached. Always true of a log that has none. */
  get logConnected(): boolean {
    return isConnected(this.#parts.log)
  }

  /** The leader's PeerId, as the log says up to `position`. Undefined before the first one. */
  get leader(): string | undefined {
    return this.#parts.group.leader
  }

  /** The number of the leader's term, as the log says up to `position`: 0 before the first, then one more each time. */
  get term(): number {
    return this.#parts.group.term
  }

  /** Machine time: what keys with a TTL die by, in milliseconds. It follows from the log's timestamps. */
  get timeMs(): number {
    return this.#parts.group.timeMs
  }

  /** Multiaddrs that others dial: those it announces, or else those it listens on. */
  get addresses(): string[] {
    return [...this.#parts.network.addresses]
  }

  /** Everyone whose announcement is fresh, this replica included. */
  get members(): Member[] {
    return this.#parts.membership.list()
  }

  /**
   * Members that fell silent, or took their leave, in the last ten minutes, as far as this replica knows: at most 200,
   * the last ones first. They count for nothing any more.
   */
  get silentMembers(): SilentMember[] {
    return this.#parts.membership.silent
  }

  /** How far this replica's catch-up is. Undefined while there is none. */
  get catchUp(): CatchUpProgress | undefined {
    return this.#parts.catchUpWatch.progress
  }

  /**
   * Each chunk of this replica's catch-up: whether it is here, and who sent it. Undefined while there is none, and
   * before the first chunk is known. It changes while the catch-up goes on.
   */
  get chunkMap(): ChunkMap | undefined {
    return this.#parts.catchUpWatch.chunkMap
  }

  /**
   * The newest anchors, at most 16, oldest first: who may attest, who did, and whether the group agreed, as the log
   * says up to `position`. After an install they begin with the anchor that was installed.
   */
  get anchors(): AnchorVotes[] {
    return this.#parts.group.anchors
  }

  /**
   * What keeps entries of the log from being pruned, as far as this replica knows. The least `upTo` of them
   * counts.
   */
  get logHolds(): LogHold[] {
    return this.#parts.pruner.holds
  }

  /** What this replica offers now. */
  get offers(): OfferView[] {
    return this.#parts.sync.offers
  }

  /** How long an offer of this replica lives without a fetch, in milliseconds: its option `ttlMs`. */
  get ttlMs(): number {
    return this.#parts.sync.ttlMs
  }

  /**
   * How often each event happened since this replica was created, by its type. Events of type `sync` are
   * counted by their own type, such as `refused`.
   */
  get counts(): ReadonlyMap<Counted, number> {
    return this.#parts.reporter.counts
  }

  /**
   * Have a function called with every event, before its listeners, until the returned function is called. Unlike a
   * listener it takes no event out of the hands of `logger`: it is meant for metrics and logs.
   *
   * @example
   * ```ts
   * const end = replica.observe(({ type, detail }) => log(type, detail))
   * ```
   */
  observe(observer: (event: ReplicaEvent) => void): () => void {
    return this.#parts.reporter.observe(observer)
  }

  /**
   * Append a command. Resolves when it is applied here, with its position and what `apply` returned. Rejects
   * with what the log says (`LogBusy`, `AppendUncertain`, `EntryTooLarge`, …), or with what ended this
   * replica or left it without a state. In the latter case the command may be in the log, and is applied
   * where that is read.
   *
   * With `key` or `expect` it is applied under conditions, which every replica judges alike. It rejects with
   * `Conflict` if a command came after `expect`, and with `AppendUncertain` if a snapshot was installed that
   * covers the command and does not tell. `RangeError` and `EpochChanged` are about the options. Conditions need
   * format 2 of the group: it waits for the first leader to begin that, and rejects with `GroupOutdated` where an
   * older member holds the group back.
   *
   * @example
   * ```ts
   * const payment = encode({ from: 'ada', to: 'bob', cents: 500 })
   * await replica.submit(payment, { key: orderId })
   * ```
   */
  async submit(command: Uint8Array, options: SubmitOptions = {}): Promise<Written<Result>> {
    return await this.#parts.submissions.submit(command, options)
  }

  /**
   * Resolves when this replica follows the log and has applied everything up to where the log ends. The end
   * is read during this call: a process that was stopped for a while does not rely on what it knew before.
   * Waits while the log cannot be reached. Rejects with `StateLost` when it needs a snapshot that nobody can
   * serve, and with what ended it.
   */
  async inSync(options: SignalOptions = {}): Promise<void> {
    await this.#parts.positions.inSync(options)
  }

  /**
   * Resolves when everything up to `position` is in the state. Rejects with `EpochChanged` for another epoch.
   */
  async reached(position: Position, options: SignalOptions = {}): Promise<void> {
    await this.#parts.positions.reached(position, options)
  }

  /**
   * Resolves when everything that was committed before this call is in the state: what others wrote before
   * can then be read here.
   */
  async barrier(options: SignalOptions = {}): Promise<void> {
    await this.#parts.positions.barrier(options)
  }

  /**
   * How far this replica is behind the log, whose end is read during this call. Rejects with what the log says.
   *
   * @example
   * ```ts
   * const { entries, ms } = await replica.lag()
   * ```
   */
  async lag(options: SignalOptions = {}): Promise<LogLag> {
    return await this.#parts.positions.lag(options)
  }

  /**
   * Throws `NotReadable` or `StateLost` while there is no state to read, or one that is known to be wrong.
   */
  assertReadable(): void {
    this.#parts.follower.assertReadable()
  }

  /**
   * Have the group capture a snapshot of all that is committed by now. Resolves with its anchor. Waits for a
   * leader, and while the maximum number of anchors is live, but not longer than `requestTimeoutMs`.
   */
  async mark(options: SignalOptions = {}): Promise<Position> {
    return await this.#parts.captures.mark(options)
  }

  /** This replica's root at an anchor. Rejects with `RangeError` if it captured nothing there. */
  async rootAt(anchor: Position, options: SignalOptions = {}): Promise<Uint8Array> {
    return await this.#parts.captures.rootAt(anchor, options)
  }

  /**
   * Resolves when this replica's disk holds a checkpoint of `position`, or of one after it, that the group
   * agreed on and that survives a loss of power. The group was told so by then: the leader may prune.
   * `CheckpointPolicy` says when one is written, and `mark()` has the next one written within a second or two.
   * For a machine that keeps its state on the disk by itself, it is an agreement on that state.
   *
   * Rejects with `NoDataDirectory` for a replica without `dataDir`, with `EpochChanged` for another epoch, and
   * with what ended this replica or left it without a state.
   *
   * @example
   * ```ts
   * await replica.checkpointed(await replica.mark())
   * ```
   */
  async checkpointed(position: Position, options: SignalOptions = {}): Promise<void> {
    await this.#parts.captures.checkpointed(position, options)
  }

  /**
   * Have the group capture a snapshot, and write it to a file once the group has agreed on its root. Resolves
   * with its anchor. Rejects as `mark()` does, with `RangeError` if this replica captured nothing there, and
   * with what the disk says.
   *
   * A replica that was halted by its log (`EpochChanged`, `LogRewound`, `LogDamaged`) writes the state that
   * it has, at its position and on its word alone. A new log can begin with that file.
   */
  async exportTo(path: string, options: SignalOptions = {}): Promise<Position> {
    return await this.#parts.captures.exportTo(path, options)
  }

  /**
   * Prune the log, as far as no anchor pins it, and keep the newest `keepEntries` (default 10,000). Resolves
   * with the index up to which it is pruned, or 0 if there was nothing to prune. Rejects with `NotLeader`
   * except on the leader, and with `PruneRefused` if no replica holds a checkpoint and this one is not
   * `volatile`.
   */
  async prune(options: { readonly keepEntries?: number } = {}): Promise<number> {
    this.#parts.positions.assertAlive()
    return await this.#parts.pruner.prune(options.keepEntries)
  }

  /**
   * The version of the machine that the group speaks, as the log says up to `position`: its signature, or one
   * of its older ones.
   */
  get signature(): string {
    return this.#parts.group.signature
  }

  /** The format of the group's own state, as the log says up to `position`: 1 or 2. */
  get format(): number {
    return this.#parts.group.format
  }

  /**
   * Have the group go over to a newer version now, `to` or the newest that all members speak. Resolves with
   * the position from which on it speaks that. Rejects with `NotLeader` except on the leader, and with
   * `UpgradeRefused`, naming the members that do not speak it, or if there is nothing newer.
   */
  async upgrade(options: UpgradeOptions = {}): Promise<Position> {
    this.#parts.positions.assertAlive()
    return await this.#parts.upgrader.upgrade(options)
  }

  /**
   * End everything this replica started: it leaves the group, and closes its streams, its log and its timers.
   */
  stop(): Promise<void> {
    this.#stopped ??= stopParts(this.#parts)
    return this.#stopped
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
