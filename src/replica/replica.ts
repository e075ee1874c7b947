import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { checkInteger } from '../bounds.ts'
import type { Belonging } from '../checkpoint/belonging.ts'
import { ChunkFiles } from '../checkpoint/chunk-files.ts'
import { DataDirectory } from '../checkpoint/data-directory.ts'
import { writeCheckpoint } from '../checkpoint/file.ts'
import { fileStorage } from '../checkpoint/file-storage.ts'
import type { Storage } from '../checkpoint/storage.ts'
import { AnchorProgress } from '../group/anchor-progress.ts'
import {
  announcementBytesMax,
  encodeAnnouncement,
  makeProcessName,
  type ReplicaState,
} from '../group/announcement.ts'
import { type Control, encodeControl, type Marker } from '../group/control.ts'
import type { Outcome } from '../group/group-state.ts'
import { LEASE_MS_DEFAULT, Leadership } from '../group/leadership.ts'
import { PAUSE_MS_MAX } from '../group/machine-time.ts'
import { type Member, Membership } from '../group/membership.ts'
import { Namesakes } from '../group/namesakes.ts'
import { GuardedEvents } from '../guarded-events.ts'
import {
  EntryTooLarge,
  EpochChanged,
  LogBusy,
  LogMissing,
  LogRewound,
  LogUnavailable,
} from '../log/errors.ts'
import type { Log, LogEntry, LogInit, LogTail } from '../log/log.ts'
import type { MachineHost, SubmitOptions, Written } from '../machine/machine.ts'
import { formatPosition, type Position } from '../position.ts'
import { systemRandom } from '../random.ts'
import { CHUNK_BYTES_DEFAULT } from '../snapshot/cut.ts'
import { zstdCoder } from '../snapshot/encoding.ts'
import { sameBytes } from '../snapshot/hash.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'
import { OFFERS_MAX, REQUEST_TIMEOUT_MS_DEFAULT, TTL_MS_DEFAULT } from '../sync/limits.ts'
import { SnapshotSync, type SyncEvent } from '../sync/snapshot-sync.ts'
import { HandshakeFailed } from '../sync/wire/errors.ts'
import type { OfferView } from '../sync/wire/messages.ts'
import { asError } from '../thrown.ts'
import { type Clock, sleep, systemClock } from '../time/clock.ts'
import { startTicker, Ticker } from '../time/ticker.ts'
import { Anchors } from './anchors.ts'
import { Applier } from './applier.ts'
import { Disk, type DiskInit } from './disk.ts'
import { Divergences } from './divergences.ts'
import { Diverged, FarewellFailed, IdentityInUse, NotInTime, NotReadable, ReplicaStopped } from './errors.ts'
import type { Counted, Divergence, ReplicaEvents, StateChange } from './events.ts'
import { Follower, isOfLog } from './follower.ts'
import { Holders } from './holders.ts'
import { type ReplicaInit, SNAPSHOT_AFTER_DEFAULT } from './init.ts'
import type { ReplicaInternals } from './internals.ts'
import type { ReplicaNetwork } from './network.ts'
import { Libp2pNode } from './node.ts'
import { checkOptions } from './options.ts'
import { cutOwnState } from './own-state.ts'
import { Problems } from './problems.ts'
import { Pruner } from './pruner.ts'
import { ReplicaHost } from './replica-host.ts'
import { Status } from './status.ts'

/** Announcements are renewed this many times within a lease. */
const ANNOUNCEMENTS_PER_LEASE = 5
/** How often a leader looks whether something in the machine is due while nobody writes, in milliseconds. */
const TICK_MS = 1_000
/** Pause before the presence store is watched, or the log's end is asked for, again after an error. */
const RETRY_MS = 500
/**
 * How long a replica waits for an answer of whoever announced itself by its name before, in milliseconds. Most often that is an earlier
 * life of its own, which was killed a moment ago, and a restart takes so much longer; a process that lives answers within 50 ms.
 */
const NAMESAKE_WAIT_MS = 250
/** Pause between two looks at the board meanwhile, in milliseconds. */
const NAMESAKE_POLL_INTERVAL_MS = 25
/** How long a replica that stops tries to say so. */
const FAREWELL_MS = 1_000

/**
 * Start a replica. Resolves when its log is open and its node listens; `inSync()` tells when it has caught up. Rejects
 * with `RangeError` for an impossible option, with `PruneRefused` for `prune` without `dataDir` or `volatile`, with
 * `DirectoryInUse`, `DirectoryUnusable` and `DirectoryOfAnotherLog`, with `ListenFailed`, and with what the log says
 * (`LogMismatch`, `LogUnusable`, …).
 *
 * @example
 * ```ts
 * const cities = new ReplicatedMap<string, City>()
 * await using replica = await createReplica({ group: 'cities', machine: cities, log: sqliteLog({ path: 'cities.db' }) })
 * await replica.inSync()
 * await cities.set('CH/Bern', { population: 134_794 })
 * ```
 */
export async function createReplica<Result>(init: ReplicaInit<Result>): Promise<Replica<Result>> {
  return await createReplicaOn({}, init)
}

/** @internal As `createReplica`, on another ground than the machine's. */
export async function createReplicaOn<Result>(
  { storage = fileStorage, network: networkOf }: ReplicaInternals,
  init: ReplicaInit<Result>,
): Promise<Replica<Result>> {
  checkOptions(init)
  const data = init.dataDir === undefined ? undefined : await DataDirectory.open(init.dataDir, storage)
  let log: Log | undefined
  let replica: Replica<Result> | undefined
  /** What the log warned of before there was a replica to tell it. */
  const warnings: Error[] = []
  const onProblem = (error: Error) => (replica === undefined ? warnings.push(error) : replica.warn(error))
  try {
    const privateKey = init.privateKey ?? (await data?.identity()) ?? (await generateKeyPair('Ed25519'))
    const network = networkOf?.(privateKey) ?? nodeOf(init, privateKey)
    log = await openLog(init, { author: network.self, onProblem }, data?.belonging)
    const disk = data && {
      data,
      fetched: await ChunkFiles.open(join(data.path, 'fetched'), storage, onProblem),
    }
    replica = new Replica(init, network, log, storage, disk)
    for (const warning of warnings) replica.warn(warning)
    await replica.start()
    return replica
  } catch (error) {
    if (replica !== undefined) await replica.stop()
    else {
      await log?.close()
      data?.[Symbol.dispose]()
    }
    throw error
  }
}

function nodeOf<Result>(init: ReplicaInit<Result>, privateKey: PrivateKey): Libp2pNode {
  const { listen, announce, libp2p, networkKey, limits } = init
  return new Libp2pNode({ privateKey, listen, announce, libp2p, networkKey, limits })
}

/** A log that is empty because it is another one must not become the truth: see `ReplicaInit.newLog`. */
async function openLog<Result>(
  { group, machine, log: backend, newLog = false }: ReplicaInit<Result>,
  by: Pick<LogInit, 'author' | 'onProblem'>,
  belonging: Belonging | undefined,
): Promise<Log> {
  const of = { group, signature: machine.signature, ...by }
  if (!(await belonging?.holdsState())) return await backend.open(of)
  const log = await backend.open({ ...of, create: newLog }).catch(async (error: unknown) => {
    if (error instanceof LogMissing) await belonging?.assert(error)
    throw error
  })
  try {
    if (newLog) await belonging?.tell(log.epoch)
    else await belonging?.assert(log.epoch)
    return log
  } catch (error) {
    await log.close()
    throw error
  }
}

/** One process's copy of the state machine: it follows the log, and catches up from its peers when it lags. */
export class Replica<Result = unknown>
  extends GuardedEvents<ReplicaEvents>
  implements MachineHost<Result>, AsyncDisposable
{
  /** This replica's PeerId, as text. */
  readonly id: string
  readonly #init: ReplicaInit<Result>
  readonly #clock: Clock
  readonly #leaseMs: number
  readonly #log: Log
  readonly #status: Status
  readonly #applier: Applier<Result>
  readonly #follower: Follower
  readonly #process = makeProcessName()
  readonly #namesakes: Namesakes
  readonly #membership: Membership
  readonly #progress: AnchorProgress
  readonly #leadership: Leadership
  readonly #announcer: Ticker
  readonly #anchors: Anchors
  readonly #pruner: Pruner
  readonly #host: ReplicaHost
  readonly #storage: Storage
  readonly #data: DataDirectory | undefined
  readonly #disk: Disk | undefined
  readonly #stopping = new AbortController()
  readonly #network: ReplicaNetwork
  readonly #sync: SnapshotSync
  /** The network was started: this replica has addresses to announce. */
  #listens = false
  #running: Promise<unknown> = Promise.resolve()
  #stopped: Promise<void> | undefined
  /** The anchor this replica is catching up from, as announced; 0 when there is none. */
  #needs = 0
  readonly #counts = new Map<Counted, number>()
  readonly #divergences: Divergences
  readonly #problems: Problems
  /** What nobody listened to yet. */
  #warnings: Error[] | undefined = []
  /** The newest problem since this replica was last in sync. */
  #trouble: Error | undefined
  /** The anchor that is being fetched, once it is sealed. */
  #sealed: { readonly index: number; readonly marker: Marker } | undefined

  /** @internal Use `createReplica`. */
  constructor(
    init: ReplicaInit<Result>,
    network: ReplicaNetwork,
    log: Log,
    storage: Storage,
    disk?: Pick<DiskInit, 'data' | 'fetched'>,
  ) {
    super()
    const id = network.self
    this.id = id
    this.#init = init
    this.#network = network
    this.#log = log
    this.#storage = storage
    this.#data = disk?.data
    const clock = init.clock ?? systemClock
    this.#clock = clock
    this.#divergences = new Divergences(clock)
    this.#problems = new Problems(clock)
    this.#leaseMs = init.leaseMs ?? LEASE_MS_DEFAULT
    const { epoch } = log
    const onProblem = (error: Error) => this.#problem(error)
    const holders = new Holders(id, clock)
    const append = (control: Control) => this.#append(control)

    this.#status = new Status((change) => {
      this.#settle(change)
      if (change.state !== 'stopped') this.#announcer.soon()
      this.#leadership.check()
      this.#emit('state', change)
    })
    this.#applier = new Applier({
      machine: init.machine,
      epoch,
      self: id,
      clock,
      onOutcome: (outcome, entry, newest) => this.#decided(outcome, entry, newest),
      onMalformed: (entry, error) => this.#emit('skipped', { entry, why: error.message }),
    })
    const { group } = this.#applier
    this.#progress = new AnchorProgress({
      clock,
      ttlMs: init.ttlMs ?? TTL_MS_DEFAULT,
      sealTimeoutMs: init.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      leaseMs: this.#leaseMs,
      connected: () => this.logConnected,
      isOpen: (anchor) => group.seal(anchor)?.state === 'open',
    })
    this.#namesakes = new Namesakes({
      process: this.#process,
      clock,
      leaseMs: this.#leaseMs,
      onFound: () => {
        this.#problem(new IdentityInUse(id))
        // The other one is to see that this process is there.
        this.#announcer.soon()
      },
      onYield: () => this.#yield(),
    })
    this.#membership = new Membership({
      notices: log.notices,
      clock,
      self: id,
      onOwn: (notice) => this.#namesakes.saw(notice),
      epoch,
      connected: () => this.logConnected,
      graceMs: this.#leaseMs,
      onChange: () => {
        this.#progress.observe(this.#membership.list())
        holders.saw(this.members)
        this.#leadership.check()
      },
    })
    this.#leadership = new Leadership({
      self: id,
      clock,
      leaseMs: this.#leaseMs,
      random: init.random ?? systemRandom,
      group,
      member: (member) => this.#membership.get(member),
      eligible: () => (init.lead ?? true) && this.state === 'in-sync',
      refresh: () => this.#membership.refresh(),
      claim: async (term) => void (await append({ type: 'claim', term })),
    })
    this.#announcer = new Ticker({
      clock,
      label: 'announcing',
      intervalMs: this.#leaseMs / ANNOUNCEMENTS_PER_LEASE,
      run: (signal) => this.#announce({ signal }),
      onError: onProblem,
      signal: this.#stopping.signal,
    })
    this.#host = new ReplicaHost({
      group: init.group,
      signature: init.machine.signature,
      self: id,
      log,
      clock,
      chunkBytes: init.chunkBytes ?? CHUNK_BYTES_DEFAULT,
      sealTimeoutMs: init.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      membership: this.#membership,
      progress: this.#progress,
      state: group,
      inSync: () => this.state === 'in-sync',
      reached: (position) => this.reached(position),
      pin: (anchor) => this.#pin(anchor),
      capture: () => init.machine.capture(),
      onSealed: (index, marker) => {
        this.#sealed = { index, marker }
      },
      beginInstall: (signal) => {
        const { add, commit } = this.#beginInstall(signal)
        return {
          add,
          commit: (anchor, control) => {
            commit(anchor, control)
            this.#disk?.installed(anchor)
            if (this.#sealed?.index === anchor.index) {
              const { index, marker } = this.#sealed
              this.#applier.group.installed(index, marker.electorate)
              this.#anchors.installed(index, control, marker.chunkBytes)
            }
          },
        }
      },
    })
    const { limits, authorize, ttlMs, requestTimeoutMs, fetchTimeoutMs } = init
    const sync = new SnapshotSync(
      {
        host: this.#host,
        clock,
        ...(disk && { store: disk.fetched }),
        onEvent: (event) => this.#synced(event),
        ...(limits && { limits }),
        ...(authorize && { authorize }),
        ...(ttlMs !== undefined && { ttlMs }),
        ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
        ...(fetchTimeoutMs !== undefined && { fetchTimeoutMs }),
      },
      network,
    )
    this.#sync = sync
    this.#disk = disk && this.#makeDisk(disk)
    this.#anchors = new Anchors({
      self: id,
      epoch,
      clock,
      ttlMs: init.ttlMs ?? TTL_MS_DEFAULT,
      sync,
      group,
      capture: () => init.machine.capture(),
      attest: async (anchor, root) => void (await append({ type: 'attestation', anchor, root })),
      onAgreed: (anchor) => this.#disk?.sealed(anchor),
      onDivergence: (anchor, own, sealed) => this.#diverged(anchor, own, sealed),
      onProblem,
    })
    this.#pruner = new Pruner({
      self: id,
      clock,
      log,
      membership: this.#membership,
      progress: this.#progress,
      volatile: init.volatile ?? false,
      checkpointOutlook: () => this.#disk?.outlook,
      policy: init.prune,
      group,
      inSync: () => this.state === 'in-sync',
      applied: () => this.#applier.applied,
      append,
      onPruned: (upTo) => this.#emit('pruned', { upTo }),
      onProblem,
    })
    this.#follower = new Follower({
      log,
      applier: this.#applier,
      status: this.#status,
      clock,
      snapshotAfter: init.snapshotAfter ?? SNAPSHOT_AFTER_DEFAULT,
      someoneServes: () => this.members.some((member) => member.id !== id && member.state === 'in-sync'),
      holders: (sinceMs) => {
        holders.saw(this.members)
        return holders.since(sinceMs)
      },
      catchUp: (request) => sync.catchUp(request),
      onInSync: () => {
        this.#needs = 0
        this.#disk?.inSync()
      },
      onCaughtUp: (report) => this.#emit('caught-up', report),
      onProblem,
    })
  }

  /** @internal What its log finds wrong and goes on in spite of. */
  warn(problem: Error): void {
    if (this.#warnings === undefined) this.#problem(problem)
    else this.#warnings.push(problem)
  }

  /** @internal */
  async start(): Promise<void> {
    const { machine } = this.#init
    await this.#network.start((peer, stream) => this.#sync.serve(peer, stream))
    this.#listens = true
    checkAnnouncement(this.addresses, this.#log)
    await this.#membership.refresh()
    this.#namesakes.announcing()
    await this.#announcer.now()
    await this.#meetNamesake()
    machine.attach?.(this)
    const { signal } = this.#stopping
    const offConnection = this.#log.connection?.onChange((connected) => this.#connection(connected))
    signal.addEventListener('abort', () => offConnection?.())
    this.#running = Promise.all([this.#run(signal), this.#watchMembers(signal)])
    this.#pruner.start()
    startTicker({
      clock: this.#clock,
      label: 'machine time',
      intervalMs: 'dueMs' in machine && TICK_MS,
      run: () => this.#moveTime(),
      onError: (error) => this.#problem(error),
      signal,
    })
  }

  get state(): ReplicaState {
    return this.#status.state
  }

  /** The newest position whose entry is in the state. */
  get position(): Position {
    return { epoch: this.#log.epoch, index: this.#applier.applied }
  }

  /** False while the log's servers cannot be reached. Always true of a log that has none. */
  get logConnected(): boolean {
    return this.#log.connection?.connected ?? true
  }

  /** Who leads, as the log says up to `position`. */
  get leader(): string | undefined {
    return this.#applier.group.leader
  }

  get term(): number {
    return this.#applier.group.term
  }

  /** Machine time: what keys with a TTL die by, in milliseconds. It follows from the log's timestamps. */
  get timeMs(): number {
    return this.#applier.group.timeMs
  }

  /** Multiaddrs that others dial: those it announces, or else those it listens on. */
  get addresses(): string[] {
    return [...this.#network.addresses]
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
   * How often each event happened since this replica was created, by its type; events of type `sync` by their own, such as
   * `refused`.
   */
  get counts(): ReadonlyMap<Counted, number> {
    return this.#counts
  }

  /**
   * Append a command; resolves when it is applied here, with its position and what `apply` returned. Rejects with
   * what the log says (`LogBusy`, `AppendUncertain`, `EntryTooLarge`, …), or with what ended this replica or left it without a
   * state: the command may be in the log then, and is applied where that is read.
   */
  async submit(command: Uint8Array, options: SubmitOptions = {}): Promise<Written<Result>> {
    this.#assertAlive()
    const append = () => this.#log.append([{ kind: 'command', payload: command }], options)
    return await this.#inTime('submit()', options, () => this.#applier.writes.track(append, options.signal))
  }

  /**
   * Resolves when this replica follows the log and has applied everything up to where the log ended, as it is read anew during this
   * call: a process that was stopped for a while does not take what it knew before for the end. Waits while the log cannot be
   * reached. Rejects with `StateLost` when it needs a snapshot that nobody can serve, and with what ended it.
   */
  async inSync(options: SubmitOptions = {}): Promise<void> {
    const { signal } = options
    await this.#inTime('inSync()', options, async () => {
      let end: number | undefined
      for (;;) {
        await this.#status.inSync(signal)
        if (end !== undefined && end <= this.#applier.applied) return
        end ??= await this.#logEnd(signal)
        if (end !== undefined) await this.#appliedOrFailed(end, signal)
      }
    })
  }

  /** Resolves when everything up to `position` is in the state. Rejects with `EpochChanged` for another epoch. */
  async reached(position: Position, options: SubmitOptions = {}): Promise<void> {
    if (position.epoch !== this.#log.epoch) throw new EpochChanged(position.epoch, this.#log.epoch)
    checkInteger('position.index', position.index, 0)
    if (position.index <= this.#applier.applied) return
    this.#assertAlive()
    const { waiters } = this.#applier
    await this.#inTime('reached()', options, () => waiters.wait(position.index, options.signal))
  }

  /**
   * Resolves when everything that was committed before this call is in the state: what others wrote before can then be
   * read here.
   */
  async barrier(options: SubmitOptions = {}): Promise<void> {
    this.#assertAlive()
    const { newest } = await this.#inTime('barrier()', options, () => this.#log.bounds(options))
    await this.reached({ epoch: this.#log.epoch, index: newest.index }, options)
  }

  /** Throws `NotReadable` or `StateLost` while there is no state to read, or one that is known to be wrong. */
  assertReadable(): void {
    const { readable, divergence } = this.#follower
    if (divergence !== undefined) throw new NotReadable(divergence)
    if (!readable) throw this.#status.failure ?? new NotReadable()
  }

  /**
   * Have the group capture a snapshot of all that is committed by now. Resolves with its anchor. Waits for a leader, and
   * while as many anchors are live as may be, but not longer than `requestTimeoutMs`.
   */
  async mark(options: SubmitOptions = {}): Promise<Position> {
    this.#assertAlive()
    const signal = AbortSignal.any([this.#stopping.signal, ...(options.signal ? [options.signal] : [])])
    return await this.#inTime('mark()', options, async () => {
      const { newest } = await this.#log.bounds({ signal })
      return await this.#sync.requestAnchor({ epoch: this.#log.epoch, index: newest.index }, signal)
    })
  }

  /** This replica's root at an anchor. Rejects with `RangeError` if it captured nothing there. */
  async rootAt(anchor: Position, options: SubmitOptions = {}): Promise<Uint8Array> {
    await this.reached(anchor, options)
    const root = this.#anchors.root(anchor.index)
    if (root === undefined) throw new RangeError(`nothing was captured at ${anchor.index}`)
    return await this.#inTime('rootAt()', options, () => orAborted(root, options.signal))
  }

  /**
   * Have the group capture a snapshot, and write it to a file of one's own once the group has agreed on its root. Resolves with
   * its anchor. Rejects as `mark()` does, with `RangeError` if this replica captured nothing there, and with what the disk says.
   *
   * A replica that its log halted (`EpochChanged`, `LogRewound`, `LogDamaged`) writes the state that it has, at its position and on
   * its word alone: a new log can begin with that file.
   */
  async exportTo(path: string, options: SubmitOptions = {}): Promise<Position> {
    const signal = AbortSignal.any([this.#stopping.signal, ...(options.signal ? [options.signal] : [])])
    if (this.state === 'halted' && isOfLog(this.#status.failure)) return await this.#exportOwn(path, signal)
    const position = await this.mark({ signal })
    const own = await this.rootAt(position, { signal })
    const held = this.#sync.hold(position)
    const manifest = held?.cut.manifest
    if (held === undefined || manifest === undefined) {
      throw new RangeError(`the snapshot of ${position.index} was released`)
    }
    try {
      const root = await this.#host.sealedRoot(position, signal)
      if (!sameBytes(root, own)) throw new Diverged(position, own, root)
      const chunk = (index: number) => held.cut.chunk(index)
      const { group, machine } = this.#init
      const of = { group, signature: machine.signature, position, sealed: true }
      await writeCheckpoint(path, this.#storage, { ...of, manifest, chunk }, signal)
    } finally {
      held.release()
    }
    return position
  }

  async #exportOwn(path: string, signal: AbortSignal): Promise<Position> {
    signal.throwIfAborted()
    this.assertReadable()
    const { group, machine, chunkBytes = CHUNK_BYTES_DEFAULT } = this.#init
    const { position } = this
    const state = await cutOwnState({
      snapshot: machine.capture(),
      control: this.#applier.group.encode(),
      coder: zstdCoder,
      chunkBytes,
      clock: this.#clock,
      signal,
    })
    await writeCheckpoint(
      path,
      this.#storage,
      { group, signature: machine.signature, position, sealed: false, ...state },
      signal,
    )
    return position
  }

  /**
   * Prune the log, up to what no anchor pins and keeping the newest `keepEntries` (default 10,000). Resolves with the
   * index up to which it is pruned, 0 if there was nothing to prune. Rejects with `NotLeader` except on the leader, and
   * with `PruneRefused` without `volatile`.
   */
  async prune(options: { readonly keepEntries?: number } = {}): Promise<number> {
    this.#assertAlive()
    return await this.#pruner.prune(options.keepEntries)
  }

  /** End everything this replica started: it leaves the group, and closes its streams, its log and its timers. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** What a control entry decided, on every replica alike; here is what this replica does about it. */
  #decided(outcome: Outcome, entry: LogEntry, newest: LogTail): void {
    switch (outcome.type) {
      case 'leader':
        this.#leadership.changed()
        this.#announcer.soon()
        return this.#emit('leader', { leader: outcome.leader, term: outcome.term })
      case 'marker':
        this.#anchors.retired(outcome.marker.retires ?? [])
        return this.#anchors.marked(outcome.index, outcome.marker, newest)
      case 'sealed': {
        const { root, minority } = outcome
        const anchor = { epoch: this.#log.epoch, index: outcome.anchor }
        this.#anchors.sealed(anchor.index, root)
        this.#emit('sealed', { anchor, root })
        for (const [replica, other] of minority)
          this.#divergent({ anchor, replica, root: other, sealed: root })
        return
      }
      case 'disputed': {
        const { anchor: index, roots } = outcome
        this.#anchors.disputed(index)
        return this.#emit('disputed', { anchor: { epoch: this.#log.epoch, index }, roots })
      }
      case 'diverged': {
        const { anchor: index, author: replica, root, sealed } = outcome
        return this.#divergent({ anchor: { epoch: this.#log.epoch, index }, replica, root, sealed })
      }
      case 'attested':
      case 'tick':
        return
      case 'prune':
        return void this.#pruner.decided(entry.index, outcome.upTo)
      case 'void':
        this.#pruner.voided(entry.index)
        return this.#emit('skipped', { entry, why: outcome.why })
      default:
        return outcome satisfies never
    }
  }

  #makeDisk(disk: Pick<DiskInit, 'data' | 'fetched'>): Disk {
    const { group, machine, checkpoint = {}, chunkBytes = CHUNK_BYTES_DEFAULT } = this.#init
    return new Disk({
      ...disk,
      group,
      signature: machine.signature,
      epoch: this.#log.epoch,
      policy: checkpoint,
      clock: this.#clock,
      chunkBytes,
      sealTimeoutMs: this.#init.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      sync: this.#sync,
      applied: () => {
        const { applied: index, commands, commandBytes } = this.#applier
        return { index, commands, commandBytes }
      },
      inSync: () => this.state === 'in-sync',
      capture: () => ({ snapshot: machine.capture(), control: this.#applier.group.encode() }),
      onWritten: () => this.#announcer.soon(),
      onEvent: (event) => this.#emit('checkpoint', event),
      onProblem: (error) => this.#problem(error),
    })
  }

  /** Load what the data directory has, and follow the log from there. */
  async #run(signal: AbortSignal): Promise<void> {
    // Whoever made the replica gets to listen before anything happens.
    await this.#clock.turn()
    for (const warning of this.#warnings ?? []) this.#problem(warning)
    this.#warnings = undefined
    try {
      await this.#disk?.load(() => this.#beginInstall(signal), signal)
    } catch {
      // Stopped before it was loaded.
      return
    }
    await this.#follower.run(signal)
  }

  #beginInstall(signal: AbortSignal): StateBuilder {
    const { add, commit } = this.#applier.beginInstall(signal)
    return {
      add,
      commit: (anchor, control) => {
        commit(anchor, control)
        this.#pruner.covered(anchor.index)
        this.#anchors.replaced()
      },
    }
  }

  #connection(connected: boolean): void {
    if (connected) {
      this.#membership.reconnected()
      this.#progress.reconnected()
      this.#leadership.reconnected()
    } else this.#follower.disconnected()
    this.#emit('log', { connected })
  }

  #synced(event: SyncEvent): void {
    if (event.type === 'session' && event.state.status === 'choosing') this.#status.enter('catching-up')
    if (event.type === 'captured') this.#disk?.captured(event.anchor)
    if (event.type === 'released') this.#disk?.released(event.anchor, event.why)
    if (event.type === 'captured' || event.type === 'cut' || event.type === 'released') this.#announcer.soon()
    // Waiting does not help: the operator has to compare the keys.
    if (event.type === 'fault' && event.error instanceof HandshakeFailed) this.#problem(event.error)
    this.#emit('sync', event)
  }

  #divergent(divergence: Divergence): void {
    const { replica, anchor } = divergence
    if (replica !== this.id || this.#divergences.tell(anchor.index)) this.#emit('divergence', divergence)
  }

  /** The root that the group sealed is not ours: resign, offer nothing that this machine has made, and replace its state. */
  #diverged(anchor: Position, own: Uint8Array, sealed: Uint8Array): void {
    this.#divergent({ anchor, replica: this.id, root: own, sealed })
    this.#follower.diverged(new Diverged(anchor, own, sealed), { forGood: this.#divergences.count() })
    this.#sync.withdraw()
  }

  async #pin(anchor: number): Promise<void> {
    this.#needs = anchor
    await this.#announcer.now()
  }

  /**
   * Something in the machine is due, and no entry has said so: the leader writes one. What time it is tells the time since the newest
   * entry was applied, and after a restart the wall clock. Long before a pause is too long to count, an entry ends it.
   */
  async #moveTime(): Promise<void> {
    const { dueMs } = this.#init.machine
    if (dueMs === undefined || dueMs <= this.timeMs) return
    if (this.state !== 'in-sync' || this.leader !== this.id) return
    const pauseMs = this.#clock.now() - this.#applier.appliedAtMs
    const timeMs = Math.max(this.timeMs + pauseMs, this.#applier.group.timeAt(this.#clock.wallNow()) ?? 0)
    if (dueMs > timeMs && pauseMs < PAUSE_MS_MAX / 2) return
    await this.#append({ type: 'tick', term: this.term })
  }

  async #announce(options: SubmitOptions = {}): Promise<void> {
    // What was said before an outage would be heard after it: that a leader does not lead, though it does again.
    if (!this.#listens || !this.logConnected || this.#namesakes.hasYielded) return
    const { epoch, notices } = this.#log
    const offers = this.#sync.offers.map(({ anchor, ...offer }) => {
      return { anchor: anchor.index, ...offer, servedBytes: this.#sync.servedBytes(anchor) }
    })
    const announcement = encodeAnnouncement({
      epoch,
      addresses: this.addresses,
      state: this.state,
      applied: this.#applier.applied,
      leads: this.state === 'in-sync' && this.leader === this.id ? this.term : 0,
      offers,
      needs: this.state === 'catching-up' || this.state === 'following' ? this.#needs : 0,
      receivedBytes: this.#sync.progressBytes,
      checkpoint: this.#disk?.checkpoint ?? 0,
      durable: this.#data !== undefined,
      ...(this.#pruner.wish && { prune: this.#pruner.wish }),
      process: this.#process,
      contested: this.#namesakes.isContested,
    })
    await notices.announce(this.id, announcement, this.#leaseMs, options)
  }

  /** If another process has this identity, it says so when it sees the announcement of this one, and this one is refused. */
  async #meetNamesake(): Promise<void> {
    const { signal } = this.#stopping
    const endMs = this.#clock.now() + NAMESAKE_WAIT_MS
    while (this.#namesakes.mayBeAnother && this.#clock.now() < endMs) {
      await sleep(this.#clock, NAMESAKE_POLL_INTERVAL_MS, signal)
      await this.#membership.refresh()
      if (this.#namesakes.hasYielded) throw new IdentityInUse(this.id)
    }
  }

  /** Another process had this identity before: it is the replica of this name, and this one is none any more. */
  #yield(): void {
    this.#follower.halt(new IdentityInUse(this.id))
    this.#sync.withdraw()
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

  async #append(control: Control): Promise<number> {
    return (await this.#log.append([{ kind: 'control', payload: encodeControl(control) }])).first
  }

  /** Whoever gave it a time that is up is told what this replica waits for. Any other reason of a signal is passed on as it is. */
  async #inTime<T>(what: string, { signal }: SubmitOptions, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const isTimeout = error instanceof Error && error.name === 'TimeoutError' && error === signal?.reason
      if (!isTimeout) throw error
      throw new NotInTime(what, this.#standing, error)
    }
  }

  /** Where this replica stands and what troubles it, for people. */
  get #standing(): string {
    const where = `this replica is ${this.state} at ${formatPosition(this.position)}`
    const log = this.logConnected ? '' : ', and the log cannot be reached'
    const trouble = this.#trouble === undefined ? '' : `; its newest problem is ${this.#trouble.message}`
    return `${where}${log}${trouble}`
  }

  #assertAlive(): void {
    this.#stopping.signal.throwIfAborted()
    this.#status.assertAlive()
  }

  /** Where the log ends now; undefined, after a pause, if it cannot be reached. */
  async #logEnd(signal?: AbortSignal): Promise<number | undefined> {
    const ends = AbortSignal.any([this.#stopping.signal, ...(signal ? [signal] : [])])
    try {
      return (await this.#log.bounds({ signal: ends })).newest.index
    } catch (error) {
      ends.throwIfAborted()
      if (!(error instanceof LogUnavailable || error instanceof LogBusy)) throw error
      await sleep(this.#clock, RETRY_MS, ends)
      return undefined
    }
  }

  /** Resolves when everything up to `index` is in the state, or something keeps this replica from getting there. */
  async #appliedOrFailed(index: number, signal?: AbortSignal): Promise<void> {
    if (index <= this.#applier.applied) return
    const done = new AbortController()
    const ends = AbortSignal.any([done.signal, ...(signal ? [signal] : [])])
    try {
      await Promise.race([this.#applier.waiters.wait(index, ends), this.#status.failed(ends)])
    } finally {
      done.abort()
    }
  }

  /** Whoever waits for something to be applied is told why it will not be. A replica that was lost may yet get a state. */
  #settle({ state, previous, reason }: StateChange): void {
    if (state === 'in-sync') this.#trouble = undefined
    if (state === 'halted' && reason !== undefined) return this.#fail(reason)
    if (previous === 'lost' && state !== 'stopped') this.#applier.recover()
    if (state !== 'lost' || reason === undefined) return
    this.#applier.fail(reason)
    this.#pruner.fail(reason)
  }

  /** Nothing will be applied any more: whoever waits for it is told why. */
  #fail(reason: Error): void {
    this.#applier.fail(reason)
    this.#pruner.stop(reason)
  }

  async #stop(): Promise<void> {
    const reason = new ReplicaStopped()
    const led = this.leader === this.id
    this.#stopping.abort(reason)
    this.#leadership.stop()
    await this.#running
    await this.#announcer.stop()
    // What is known to be wrong must not be what the next life begins with, nor what a log that was put back does not have.
    const { failure } = this.#status
    const trusted = () =>
      this.#follower.readable &&
      this.#follower.divergence === undefined &&
      (this.state === 'in-sync' ||
        this.state === 'following' ||
        (this.state === 'halted' && isOfLog(failure) && !(failure instanceof LogRewound)))
    await this.#disk?.stop({ trusted })
    this.#fail(reason)
    this.#status.enter('stopped')
    if (this.#listens) {
      this.#sync.withdraw()
      // A leader says that it leaves, so that nobody waits for its lease to run out.
      const late = new AbortController()
      const timer = this.#clock.schedule(FAREWELL_MS, () => late.abort(new FarewellFailed(FAREWELL_MS)))
      const options = { signal: late.signal }
      const leave = async () => {
        // What is on the board is the other process's.
        if (this.#namesakes.hasYielded) return
        await (led ? this.#announce(options) : this.#log.notices.withdraw(this.id, options))
      }
      await leave().catch((error: Error) => this.#problem(error))
      timer.cancel()
    }
    await this.#network.stop()
    await this.#sync.close()
    await this.#log.close()
    this.#data?.[Symbol.dispose]()
  }

  /** What halted this replica was told with its state, and what stays as it was need not be told every second. */
  #problem(error: Error): void {
    this.#trouble = error
    if (error.message === this.#status.failure?.message) return
    // Whichever part of this replica sees it first: there is nothing to be tried again.
    if (error instanceof EpochChanged) return this.#status.enter('halted', error)
    if (this.#stopping.signal.aborted || this.#problems.isNews(error)) this.#emit('problem', error)
  }

  #emit<E extends keyof ReplicaEvents & string>(type: E, detail: ReplicaEvents[E]['detail']): void {
    const counted = (type === 'sync' ? (detail as SyncEvent).type : type) as Counted
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1)
    this.safeDispatchEvent(type, { detail } as never)
  }
}

/** A promise, or the signal's reason, whichever comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Throws `EntryTooLarge` for more addresses than a notice can carry beside all else that it may come to say. */
function checkAnnouncement(addresses: readonly string[], { epoch, maxEntryBytes }: Log): void {
  const bytes = announcementBytesMax({ epoch, addresses, offers: OFFERS_MAX })
  if (bytes > maxEntryBytes) throw new EntryTooLarge(bytes, maxEntryBytes, { what: 'a notice' })
}
