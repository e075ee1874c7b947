import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Libp2pOptions } from 'libp2p'
import { type Clock, sleep, systemClock } from '../expiry/clock.ts'
import { encodeAnnouncement, type ReplicaState } from '../group/announcement.ts'
import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, type Control, encodeControl } from '../group/control.ts'
import type { Outcome } from '../group/group-state.ts'
import { LEASE_MS_DEFAULT, Leadership } from '../group/leadership.ts'
import { type Member, Membership } from '../group/membership.ts'
import { KEEP_ENTRIES_DEFAULT, PruneRefused, prunableTo } from '../group/pruning.ts'
import { GuardedEvents } from '../guarded-events.ts'
import { EpochChanged, LogRewound, LogTruncated } from '../log/errors.ts'
import type { Log, LogBackend, LogEntry, LogTail } from '../log/log.ts'
import type { StateMachine, SubmitOptions, Written } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import { CHUNK_BYTES_DEFAULT } from '../snapshot/cut.ts'
import { NoProvider, NotLeader } from '../sync/errors.ts'
import type { VerifiedSnapshot } from '../sync/host.ts'
import { TTL_MS_DEFAULT } from '../sync/limits.ts'
import type { OfferView } from '../sync/messages.ts'
import type { CaughtUp } from '../sync/session.ts'
import type { SnapshotSyncInit, SyncEvent } from '../sync/snapshot-sync.ts'
import { Anchors } from './anchors.ts'
import { Announcer } from './announcer.ts'
import { Applier } from './applier.ts'
import { ApplyFailed, Diverged, NotReadable, ReplicaStopped, StateLost } from './errors.ts'
import type { CatchUpReport, ReplicaEvents } from './events.ts'
import { createNode, type ReplicaNode } from './node.ts'
import { ReplicaHost } from './replica-host.ts'

export interface ReplicaInit<Result> {
  /** The group's name. Replicas of one group share one log and one kind of machine. */
  readonly group: string
  /** What is replicated. */
  readonly machine: StateMachine<Result>
  /** Where entries are ordered: `sqliteLog({ path })`, `memoryLog()`. */
  readonly log: LogBackend
  /** Multiaddrs to listen on. Default: any free port of 127.0.0.1. */
  readonly listen?: readonly string[]
  /** Who this replica is. Default: a new Ed25519 key. */
  readonly privateKey?: PrivateKey
  /** False makes a reader, which never takes office. Default true. */
  readonly lead?: boolean
  /**
   * True allows pruning although no replica keeps its state on disk: when all replicas of the group are down at once,
   * the pruned part of the state is gone. Meant for caches. Default false.
   */
  readonly volatile?: boolean
  /** While leading, prune all but the newest `keepEntries`, at an interval. Needs `volatile`. Default: never. */
  readonly prune?: { readonly keepEntries?: number; readonly intervalMs?: number }
  /**
   * On start, a replica this many entries behind asks for a snapshot although it could replay the log. Default
   * 100,000. `Infinity`: only when the log was pruned.
   */
  readonly snapshotAfter?: number
  /** Size of the chunks that markers of this replica ask for, in bytes, 1 to 16 MiB. Default 1 MiB. */
  readonly chunkBytes?: number
  /** How long the leader may be silent before others take office, in milliseconds; announcements live as long. Default 5,000. */
  readonly leaseMs?: number
  /** See `SnapshotSyncInit`. */
  readonly ttlMs?: number
  readonly requestTimeoutMs?: number
  readonly fetchTimeoutMs?: number
  /** Other transports, encryption, muxers or services for the libp2p node. */
  readonly libp2p?: Libp2pOptions
  readonly clock?: Clock
  /** A number from 0 up to 1. Default `Math.random`. */
  readonly random?: () => number
}

/** Announcements are renewed this many times within a lease. */
const ANNOUNCEMENTS_PER_LEASE = 5
const SNAPSHOT_AFTER_DEFAULT = 100_000
const PRUNE_INTERVAL_MS_DEFAULT = 1_000
/** Pause before the log is followed again after an error that may pass. */
const RETRY_MS = 500
/** Divergences within this time after which a replica stops. */
const DIVERGENCES_MAX = 3
const DIVERGENCE_WINDOW_MS = 10 * 60_000

/** Why following the log ended. */
type Lag = 'truncated' | 'far-behind' | 'diverged'

/** Start a replica: it resolves when the log is open and the node listens; `inSync()` tells the rest. */
export async function createReplica<Result>(init: ReplicaInit<Result>): Promise<Replica<Result>> {
  const { chunkBytes = CHUNK_BYTES_DEFAULT } = init
  if (!Number.isInteger(chunkBytes) || chunkBytes < CHUNK_BYTES_MIN || chunkBytes > CHUNK_BYTES_MAX) {
    throw new RangeError(
      `chunkBytes is ${chunkBytes}; give an integer from ${CHUNK_BYTES_MIN} to ${CHUNK_BYTES_MAX}`,
    )
  }
  if (init.prune !== undefined && init.volatile !== true) throw pruneRefused()
  const privateKey = init.privateKey ?? (await generateKeyPair('Ed25519'))
  const id = peerIdFromPrivateKey(privateKey).toString()
  const log = await init.log.open({ group: init.group, signature: init.machine.signature, author: id })
  const replica = new Replica(init, { id, log, chunkBytes })
  try {
    await replica.start(privateKey)
    return replica
  } catch (error) {
    await replica.stop()
    throw error
  }
}

/** One process's copy of the state machine: it follows the log, and catches up from its peers when it lags. */
export class Replica<Result = unknown> extends GuardedEvents<ReplicaEvents> implements AsyncDisposable {
  /** This replica's PeerId, as text. */
  readonly id: string
  readonly #init: ReplicaInit<Result>
  readonly #clock: Clock
  readonly #log: Log
  readonly #applier: Applier<Result>
  readonly #membership: Membership
  readonly #leadership: Leadership
  readonly #announcer: Announcer
  readonly #anchors: Anchors
  readonly #host: ReplicaHost
  readonly #stopping = new AbortController()
  readonly #pruning = new Map<number, PromiseWithResolvers<number>>()
  #node: ReplicaNode | undefined
  #running: Promise<unknown> = Promise.resolve()
  #stopped: Promise<void> | undefined
  #state: ReplicaState = 'starting'
  #failure: Error | undefined
  /** The state is that of a log position: a prefix of the log, or a snapshot and what followed. */
  #readable = false
  #needs = 0
  #following: AbortController | undefined
  #snapshotTried = false
  #catchUp: { readonly caught: CaughtUp; readonly beganMs: number; readonly installedMs: number } | undefined
  #divergencesAtMs: number[] = []

  /** Use `createReplica`. */
  constructor(init: ReplicaInit<Result>, made: { id: string; log: Log; chunkBytes: number }) {
    super()
    this.id = made.id
    this.#init = init
    this.#log = made.log
    const clock = init.clock ?? systemClock
    this.#clock = clock
    const { epoch } = made.log
    const leaseMs = init.leaseMs ?? LEASE_MS_DEFAULT
    const onProblem = (error: Error) => this.#problem(error)

    this.#applier = new Applier({
      machine: init.machine,
      epoch,
      self: made.id,
      clock,
      onOutcome: (outcome, entry, newest) => this.#decided(outcome, entry, newest),
      onMalformed: (entry, error) => this.#emit('skipped', { entry, why: error.message }),
    })
    this.#membership = new Membership({
      notices: made.log.notices,
      clock,
      epoch,
      onChange: () => this.#leadership.check(),
    })
    this.#leadership = new Leadership({
      self: made.id,
      clock,
      leaseMs,
      random: init.random ?? Math.random,
      group: () => this.#applier.group,
      member: (id) => this.#membership.get(id),
      eligible: () => (init.lead ?? true) && this.#state === 'in-sync',
      claim: async (term) => {
        await this.#append({ type: 'claim', term })
      },
    })
    this.#announcer = new Announcer({
      clock,
      intervalMs: leaseMs / ANNOUNCEMENTS_PER_LEASE,
      announce: () => this.#announce(leaseMs),
      onError: onProblem,
    })
    this.#anchors = new Anchors({
      self: made.id,
      epoch,
      clock,
      ttlMs: init.ttlMs ?? TTL_MS_DEFAULT,
      sync: () => this.#sync,
      group: () => this.#applier.group,
      capture: () => init.machine.capture(),
      attest: async (anchor, root) => {
        await this.#append({ type: 'attestation', anchor, root })
      },
      onDivergence: (anchor, own, sealed) => this.#diverged(anchor, own, sealed),
      onProblem,
    })
    this.#host = new ReplicaHost({
      group: init.group,
      signature: init.machine.signature,
      self: made.id,
      log: made.log,
      chunkBytes: made.chunkBytes,
      membership: this.#membership,
      state: () => this.#applier.group,
      pin: async (anchor) => {
        this.#needs = anchor
        await this.#announcer.now()
      },
      install: (snapshot, signal) => this.#install(snapshot, signal),
    })
  }

  /** @internal */
  async start(privateKey: PrivateKey): Promise<void> {
    const { listen, libp2p, machine, prune, ttlMs, requestTimeoutMs, fetchTimeoutMs } = this.#init
    const sync: SnapshotSyncInit = {
      host: this.#host,
      clock: this.#clock,
      onEvent: (event) => this.#synced(event),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
      ...(fetchTimeoutMs !== undefined && { fetchTimeoutMs }),
    }
    this.#node = await createNode({ privateKey, listen, libp2p, sync })
    await this.#membership.refresh()
    await this.#announcer.now()
    machine.attach?.(this)
    const { signal } = this.#stopping
    this.#running = Promise.all([this.#run(signal), this.#watchMembers(signal)])
    if (prune !== undefined) this.#schedulePrune()
  }

  get state(): ReplicaState {
    return this.#state
  }

  /** The newest position whose entry is in the state. */
  get position(): Position {
    return { epoch: this.#log.epoch, index: this.#applier.applied }
  }

  /** Who leads, as the log says up to `position`. */
  get leader(): string | undefined {
    return this.#applier.group.leader
  }

  get term(): number {
    return this.#applier.group.term
  }

  /** Machine time: the running maximum of the log's timestamps, in milliseconds. */
  get timeMs(): number {
    return this.#applier.group.timeMs
  }

  /** Multiaddrs this replica listens on. */
  get addresses(): string[] {
    return this.#node?.getMultiaddrs().map(String) ?? []
  }

  /** Everyone whose announcement is fresh, this replica included. */
  get members(): Member[] {
    return this.#membership.list()
  }

  /** What this replica offers now. */
  get offers(): OfferView[] {
    return this.#sync.offers
  }

  /**
   * Append a command; resolves when it is applied here, with its position and what `apply` returned. Rejects with
   * what the log says (`LogBusy`, `AppendUncertain`, `EntryTooLarge`, …), or with what ended this replica.
   */
  async submit(command: Uint8Array, options: SubmitOptions = {}): Promise<Written<Result>> {
    this.#assertAlive()
    const append = async () =>
      (await this.#log.append([{ kind: 'command', payload: command }], options)).first
    return await this.#applier.writes.track(append, options.signal)
  }

  /**
   * Resolves when this replica is at the end of the log, at once if it is. Rejects with `StateLost` when it needs a
   * snapshot that nobody can serve, and with what ended it.
   */
  async inSync(options: SubmitOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#state === 'in-sync') return
    const settled = () => this.#failure !== undefined || this.#state === 'in-sync'
    if (!settled()) await this.#stateWhere(settled, options.signal)
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when everything up to `position` is in the state. Rejects with `EpochChanged` for another epoch. */
  async reached(position: Position, options: SubmitOptions = {}): Promise<void> {
    if (position.epoch !== this.#log.epoch) throw new EpochChanged(position.epoch, this.#log.epoch)
    if (position.index <= this.#applier.applied) return
    this.#assertAlive()
    await this.#applier.waiters.wait(position.index, options.signal)
  }

  /** Resolves when everything that was committed before this call is in the state: read after it to read your peers' writes. */
  async barrier(options: SubmitOptions = {}): Promise<void> {
    this.#assertAlive()
    const { newest } = await this.#log.bounds(options)
    await this.reached({ epoch: this.#log.epoch, index: newest.index }, options)
  }

  /** Throws `NotReadable` or `StateLost` while there is no state to read. */
  assertReadable(): void {
    if (!this.#readable) throw this.#failure ?? new NotReadable()
  }

  /** Have the group capture a snapshot of what is committed by now. Resolves with its anchor. */
  async mark(): Promise<Position> {
    this.#assertAlive()
    const { newest } = await this.#log.bounds()
    return await this.#sync.requestAnchor({ epoch: this.#log.epoch, index: newest.index })
  }

  /** This replica's root at an anchor. Rejects with `RangeError` if it captured nothing there. */
  async rootAt(anchor: Position): Promise<Uint8Array> {
    await this.reached(anchor)
    const root = this.#anchors.root(anchor.index)
    if (root === undefined) throw new RangeError(`nothing was captured at ${anchor.index}`)
    return await root
  }

  /**
   * The leader prunes the log, up to what no anchor pins. Resolves with the index up to which it is pruned, 0 if there is
   * nothing to prune. Rejects with `NotLeader` elsewhere, and with `PruneRefused` without `volatile`.
   */
  async prune(options: { readonly keepEntries?: number } = {}): Promise<number> {
    this.#assertAlive()
    if (this.#init.volatile !== true) throw pruneRefused()
    if (this.leader !== this.id) throw new NotLeader(this.leader)
    await this.#membership.refresh()
    const upTo = prunableTo(this.#applier.applied, options.keepEntries ?? KEEP_ENTRIES_DEFAULT, this.members)
    if (upTo < (await this.#log.bounds()).first) return 0
    const index = await this.#append({ type: 'prune', term: this.term, upTo })
    const pruning = Promise.withResolvers<number>()
    if (this.#applier.applied >= index) throw new NotLeader(this.leader)
    this.#pruning.set(index, pruning)
    return await pruning.promise
  }

  /** End everything this replica started: it withdraws, closes its streams, its log and its timers. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  get #sync() {
    if (this.#node === undefined) throw new ReplicaStopped()
    return this.#node.services.sync
  }

  /** Follow the log, catch up when it cannot be followed, and follow it again. */
  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const lag = await this.#follow(signal)
        if (lag !== undefined) await this.#catchUpFrom(lag, signal)
      } catch (error) {
        if (signal.aborted) return
        const reason = asError(error)
        if (isFinal(reason)) return this.#halt(reason)
        this.#problem(reason)
        await sleep(this.#clock, RETRY_MS, signal).catch(() => {})
      }
    }
  }

  /** Apply the log from where this replica is. Returns why it must catch up, or nothing when it is stopped. */
  async #follow(signal: AbortSignal): Promise<Lag | undefined> {
    const { first, newest } = await this.#log.bounds({ signal })
    const { applied } = this.#applier
    if (first > applied + 1) return 'truncated'
    this.#readable = true
    if (newest.index <= applied) {
      this.#enterInSync()
    } else {
      this.#setState('following')
      const { snapshotAfter = SNAPSHOT_AFTER_DEFAULT } = this.#init
      if (newest.index - applied > snapshotAfter && !this.#snapshotTried && this.#someoneServes())
        return 'far-behind'
    }
    const interrupted = new AbortController()
    this.#following = interrupted
    const following = AbortSignal.any([signal, interrupted.signal])
    try {
      for await (const batch of this.#log.follow(this.#applier.cursor, { signal: following })) {
        await this.#applier.apply(batch, following)
        this.#judgeLag(batch.newest.index - this.#applier.applied)
      }
    } catch (error) {
      if (error instanceof LogTruncated) return 'truncated'
      if (!interrupted.signal.aborted) throw error
    } finally {
      this.#following = undefined
    }
    return interrupted.signal.aborted ? 'diverged' : undefined
  }

  /** In sync means: at the end of the log as it was when last read. A little behind, for a moment, does not end it. */
  #judgeLag(behind: number): void {
    if (behind <= 0) this.#enterInSync()
    else if (behind > (this.#init.snapshotAfter ?? SNAPSHOT_AFTER_DEFAULT)) this.#setState('following')
  }

  async #catchUpFrom(lag: Lag, signal: AbortSignal): Promise<void> {
    this.#snapshotTried = true
    this.#setState('catching-up')
    const beganMs = this.#clock.now()
    const position = this.position
    while (!signal.aborted) {
      try {
        const caught = await this.#sync.catchUp({ position, signal })
        this.#catchUp = { caught, beganMs, installedMs: this.#clock.now() }
        return
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof NoProvider)) throw error
        if (lag === 'far-behind') return
        const { first } = await this.#log.bounds({ signal })
        if (lag === 'truncated') this.#setState('lost', new StateLost(first, error))
      }
    }
  }

  async #install(snapshot: VerifiedSnapshot, signal: AbortSignal): Promise<void> {
    await this.#applier.install(snapshot, signal)
    this.#readable = true
  }

  #enterInSync(): void {
    if (this.#state === 'in-sync') return
    const caughtUp = this.#catchUp
    this.#catchUp = undefined
    this.#snapshotTried = false
    this.#needs = 0
    this.#setState('in-sync')
    if (caughtUp === undefined) return
    const { caught, beganMs, installedMs } = caughtUp
    const nowMs = this.#clock.now()
    const report: CatchUpReport = { ...caught, totalMs: nowMs - beganMs, replayMs: nowMs - installedMs }
    this.#emit('caught-up', report)
  }

  /** What a control entry decided, on every replica alike; here is what this replica does about it. */
  #decided(outcome: Outcome, entry: LogEntry, newest: LogTail): void {
    switch (outcome.type) {
      case 'leader':
        this.#leadership.changed()
        this.#announcer.soon()
        return this.#emit('leader', { leader: outcome.leader, term: outcome.term })
      case 'marker':
        return this.#anchors.marked(outcome.index, outcome.timestampMs, outcome.marker, newest)
      case 'sealed':
        this.#anchors.sealed(outcome.anchor, outcome.root)
        return this.#emit('sealed', {
          anchor: { epoch: this.#log.epoch, index: outcome.anchor },
          root: outcome.root,
        })
      case 'attested':
        return
      case 'prune':
        if (this.leader === this.id) void this.#executePrune(entry.index, outcome.upTo)
        return
      case 'void':
        this.#pruning.get(entry.index)?.reject(new NotLeader(this.leader))
        this.#pruning.delete(entry.index)
        return this.#emit('skipped', { entry, why: outcome.why })
      default:
        return outcome satisfies never
    }
  }

  /** A prune counts once it is applied, and even then it stops before what has been pinned meanwhile. */
  async #executePrune(index: number, wanted: number): Promise<void> {
    const pruning = this.#pruning.get(index)
    this.#pruning.delete(index)
    try {
      await this.#membership.refresh()
      const upTo = Math.min(wanted, prunableTo(this.#applier.applied, 0, this.members))
      if (upTo > 0) await this.#log.prune(upTo)
      pruning?.resolve(upTo)
      this.#emit('pruned', { upTo })
    } catch (error) {
      pruning?.reject(asError(error))
      this.#problem(asError(error))
    }
  }

  #schedulePrune(): void {
    const { keepEntries = KEEP_ENTRIES_DEFAULT, intervalMs = PRUNE_INTERVAL_MS_DEFAULT } =
      this.#init.prune ?? {}
    this.#clock.schedule(intervalMs, () => {
      if (this.#stopping.signal.aborted) return
      const done = this.leader === this.id ? this.prune({ keepEntries }) : Promise.resolve(0)
      void done.catch((error: Error) => this.#problem(error)).finally(() => this.#schedulePrune())
    })
  }

  #diverged(anchor: Position, own: Uint8Array, sealed: Uint8Array): void {
    this.#emit('divergence', { anchor, own, sealed })
    this.#sync.withdraw()
    const nowMs = this.#clock.now()
    this.#divergencesAtMs = [
      ...this.#divergencesAtMs.filter((at) => at > nowMs - DIVERGENCE_WINDOW_MS),
      nowMs,
    ]
    if (this.#divergencesAtMs.length >= DIVERGENCES_MAX) this.#halt(new Diverged(anchor, own, sealed))
    else this.#setState('catching-up')
    this.#following?.abort(new Error('this replica diverged'))
  }

  #synced(event: SyncEvent): void {
    if (event.type === 'session' && event.state.status === 'choosing' && this.#state === 'lost') {
      this.#setState('catching-up')
    }
    if (event.type === 'captured' || event.type === 'cut' || event.type === 'released') this.#announcer.soon()
    this.#emit('sync', event)
  }

  async #announce(ttlMs: number): Promise<void> {
    const { epoch, notices } = this.#log
    const leads = this.#state === 'in-sync' && this.leader === this.id ? this.term : 0
    const offers = this.#sync.offers.map(({ anchor, remainingMs, ready }) => ({
      anchor: anchor.index,
      remainingMs,
      ready,
    }))
    const announcement = encodeAnnouncement({
      epoch,
      addresses: this.addresses,
      state: this.#state,
      applied: this.#applier.applied,
      leads,
      offers,
      needs: this.#needs,
    })
    await notices.announce(this.id, announcement, ttlMs)
  }

  async #watchMembers(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#membership.run(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#problem(asError(error))
        await sleep(this.#clock, RETRY_MS, signal).catch(() => {})
      }
    }
  }

  #someoneServes(): boolean {
    return this.members.some(({ id, state }) => id !== this.id && state === 'in-sync')
  }

  async #append(control: Control): Promise<number> {
    return (await this.#log.append([{ kind: 'control', payload: encodeControl(control) }])).first
  }

  #halt(reason: Error): void {
    this.#failure = reason
    this.#setState('halted', reason)
    this.#applier.fail(reason)
    for (const pruning of this.#pruning.values()) pruning.reject(reason)
    this.#pruning.clear()
  }

  async #stop(): Promise<void> {
    const wasLeader = this.leader === this.id
    this.#stopping.abort(new ReplicaStopped())
    this.#leadership.stop()
    await this.#running
    await this.#announcer.stop()
    const reason = new ReplicaStopped()
    this.#failure ??= reason
    this.#applier.fail(reason)
    for (const pruning of this.#pruning.values()) pruning.reject(reason)
    this.#setState('stopped')
    if (this.#node !== undefined) {
      // Whoever leads says that it leaves, so that nobody waits for its lease to run out.
      const farewell = wasLeader
        ? this.#announce(this.#init.leaseMs ?? LEASE_MS_DEFAULT)
        : this.#log.notices.withdraw(this.id)
      await farewell.catch((error: Error) => this.#problem(error))
      await this.#node.stop()
    }
    await this.#log.close()
  }

  #setState(state: ReplicaState, reason?: Error): void {
    const previous = this.#state
    if (previous === state || previous === 'stopped') return
    if (previous === 'halted' && state !== 'stopped') return
    this.#state = state
    if (state === 'lost') this.#failure = reason
    else if (state !== 'halted' && state !== 'stopped') this.#failure = undefined
    this.#emit('state', { state, previous, reason })
    if (state !== 'stopped') this.#announcer.soon()
    this.#leadership.check()
  }

  /** Resolves when a change of state makes `settled` true. */
  #stateWhere(settled: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.removeEventListener('state', onState)
        signal?.removeEventListener('abort', onAbort)
      }
      const onState = () => {
        if (!settled()) return
        leave()
        resolve()
      }
      const onAbort = () => {
        leave()
        reject(signal?.reason)
      }
      this.addEventListener('state', onState)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #assertAlive(): void {
    if (this.#state === 'stopped' || this.#stopping.signal.aborted) throw new ReplicaStopped()
    if (this.#state === 'halted' && this.#failure !== undefined) throw this.#failure
  }

  #problem(error: Error): void {
    this.#emit('problem', error)
  }

  #emit<E extends keyof ReplicaEvents & string>(type: E, detail: ReplicaEvents[E]['detail']): void {
    this.safeDispatchEvent(type, { detail } as never)
  }
}

/** Errors after which following the same log with the same state is in vain: the operator decides. */
function isFinal(error: Error): boolean {
  return [ApplyFailed, Diverged, EpochChanged, LogRewound].some((kind) => error instanceof kind)
}

function pruneRefused(): PruneRefused {
  return new PruneRefused(
    'pruning needs volatile: true, which means that the pruned part of the state lives only in the memory of the replicas',
  )
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
