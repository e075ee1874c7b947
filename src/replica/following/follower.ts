import { UpgradeRequired } from '../../group/errors.ts'
import type { GroupState } from '../../group/group-state.ts'
import { EpochChanged, LogDamaged, LogRewound, LogTruncated } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import { NoProvider } from '../../sync/errors.ts'
import type { CaughtUp } from '../../sync/fetching/session-state.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import type { Disk } from '../disk/disk.ts'
import { ApplyFailed, type Beginning, Diverged, InstallFailed, NotReadable, StateLost } from '../errors.ts'
import { GenesisAhead, readGenesis } from '../import/genesis-reader.ts'
import { snapshotOf } from '../import/snapshot-name.ts'
import type { Announcer } from '../membership/announcer.ts'
import type { Holders } from '../membership/holders.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'
import type { Applier, EntryListener } from './applier.ts'

/** Why a replica needs a snapshot. */
export type Lag =
  /** The next entry it needs has been pruned. */
  | 'truncated'
  /** The log begins with a snapshot, which it does not have. */
  | 'genesis'
  /** The log begins with an older version of the machine, which this process does not speak. */
  | 'older'
  /** It could replay the log, but a snapshot is cheaper. */
  | 'far-behind'
  /** Its state is not what the group agreed on. */
  | 'diverged'

export interface FollowerInit {
  readonly log: Log
  readonly group: Pick<GroupState, 'signature' | 'versions'>
  readonly applier: Pick<Applier<unknown>, 'applied' | 'cursor' | 'apply' | 'isInstalling' | 'finishInstall'>
  readonly status: Status
  readonly clock: Clock
  /** Entries behind from which a snapshot is preferred to the log. */
  readonly snapshotAfter: number
  /** The other members that have a state. */
  readonly holders: Pick<Holders, 'someoneServes' | 'since'>
  readonly sync: Pick<SnapshotSync, 'catchUp'>
  /** Both are told when this replica is in sync: it needs no anchor any more, nor what was fetched. */
  readonly announcer: Pick<Announcer, 'unpin'>
  readonly disk: Pick<Disk, 'inSync'> | undefined
  readonly reporter: Pick<Reporter, 'emit' | 'problem'>
}

/**
 * First pause before the log is followed again after an error that may pass, in milliseconds. It doubles each
 * time.
 */
const RETRY_FIRST_MS = 500
/**
 * The longest such pause, in milliseconds: once an operator has mended the log, replicas go on within this
 * time.
 */
const RETRY_LAST_MS = 8_000
/**
 * A catch-up that nobody served begins again this long after its beginning, in milliseconds, at the latest.
 * The time doubles from `RETRY_FIRST_MS` on up to this.
 */
const CATCH_UP_EVERY_MS_MAX = 10_000

/**
 * Follows the log. When that is not possible, it gets a snapshot from the other replicas and follows the log
 * again.
 */
export class Follower {
  readonly #init: FollowerInit
  #interrupt: AbortController | undefined
  /** How the state differs from the group's. Set until it is replaced. */
  #diverged: Diverged | undefined
  /** The state was replaced too often already. */
  #divergedForGood = false
  /** The state is that of a log position: a prefix of the log, or a snapshot and what followed. */
  #readable = false
  /** What the log lacks, if it was found while entries were read. */
  #truncated: LogTruncated | undefined
  /** A snapshot was asked for since this replica was last in sync: do not prefer one again. */
  #snapshotTried = false
  /** Errors since the log was last read. */
  #failures = 0
  #caughtUp: { readonly caught: CaughtUp; readonly beganMs: number; readonly installedMs: number } | undefined

  readonly #halting = new AbortController()

  constructor(init: FollowerInit) {
    this.#init = init
  }

  /**
   * Throws `NotReadable` or `StateLost` while there is no state to read, or one that is known to be wrong.
   */
  assertReadable(): void {
    if (this.#diverged !== undefined) throw new NotReadable(this.#diverged)
    const { applier, status } = this.#init
    if (!this.#readable || applier.isInstalling) throw status.failure ?? new NotReadable()
  }

  /**
   * The next life may begin with this state: it is not known to be wrong, and is not of a log that was put
   * back.
   */
  get isTrusted(): boolean {
    if (!this.#readable || this.#diverged !== undefined) return false
    const { state, failure } = this.#init.status
    if (state === 'halted') return isOfLog(failure) && !(failure instanceof LogRewound)
    return state === 'in-sync' || state === 'following'
  }

  /** End for good: apply nothing any more. */
  halt(reason: Error): void {
    this.#init.status.enter('halted', reason)
    this.#halting.abort(reason)
  }

  /**
   * Follow the log, and tell the listener what its entries did. Resolves when the signal aborts, or after an
   * error that leaves nothing to go on with; the status then has the error.
   */
  async run(listener: EntryListener, stopping: AbortSignal): Promise<void> {
    const { clock, status, reporter } = this.#init
    const signal = AbortSignal.any([stopping, this.#halting.signal])
    // The application gets to listen before anything happens.
    await clock.turn()
    while (!signal.aborted) {
      try {
        const lag = await this.#follow(listener, signal)
        if (lag !== undefined) await this.#catchUp(lag, signal)
      } catch (error) {
        if (signal.aborted) return
        const reason = asError(error)
        if (isFinal(reason)) return status.enter('halted', reason)
        reporter.problem(reason)
        // A replica that cannot read the log does not know where it ends. It must neither lead nor vote.
        if (status.state === 'in-sync') status.enter('following')
        const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_LAST_MS)
        await sleep(clock, pauseMs, signal).catch(() => {})
      }
    }
  }

  /** This replica's state is not the group's: stop applying, and replace it, or halt if that is in vain. */
  diverged(error: Diverged, options: { readonly forGood: boolean }): void {
    this.#diverged = error
    this.#divergedForGood ||= options.forGood
    this.#init.status.enter('catching-up')
    this.#interrupt?.abort(new Error('this replica diverged'))
  }

  /**
   * The log cannot be reached, so nobody knows where it ends. This replica is not in sync until it has read
   * it again.
   */
  disconnected(): void {
    if (this.#init.status.state === 'in-sync') this.#init.status.enter('following')
    this.#interrupt?.abort(new Error('the log cannot be reached'))
  }

  /**
   * Apply the log from where this replica is. Returns why a snapshot is needed, or nothing when it is
   * stopped.
   */
  async #follow(listener: EntryListener, signal: AbortSignal): Promise<Lag | undefined> {
    const { log, group, applier, status, snapshotAfter, holders } = this.#init
    await applier.finishInstall(signal)
    const { first, newest } = await log.bounds({ signal })
    if (this.#divergence() !== undefined) return 'diverged'
    const behind = newest.index - applier.applied
    this.#truncated = undefined
    if (first > applier.applied + 1) return 'truncated'
    if (applier.applied === 0 && newest.index > 0 && (await readGenesis(log, signal))) return 'genesis'
    if (!group.versions.speaks(group.signature)) return 'older'
    this.#readable = true
    if (behind > 0) {
      status.enter('following')
      if (behind > snapshotAfter && !this.#snapshotTried && holders.someoneServes) return 'far-behind'
    } else {
      // Only a read tells whether the log was put back, and perhaps written again. This one ends at once.
      for await (const _ of log.read(applier.cursor, { signal })) break
      signal.throwIfAborted()
      this.#enterInSync()
    }

    const interrupt = new AbortController()
    this.#interrupt = interrupt
    const following = AbortSignal.any([signal, interrupt.signal])
    try {
      // It was found since the last look.
      if (this.#diverged !== undefined) return this.#divergence()
      for await (const batch of log.follow(applier.cursor, { signal: following })) {
        await applier.apply(batch, listener, following)
        this.#failures = 0
        // A replica that falls behind under load stays in sync, since it follows the log. Only the end of
        // that ends it.
        if (applier.applied >= batch.newest.index) this.#enterInSync()
      }
    } catch (error) {
      if (error instanceof LogTruncated) {
        this.#truncated = error
        return 'truncated'
      }
      if (error instanceof GenesisAhead) {
        // The log was empty, and so was this state.
        this.#readable = false
        return 'genesis'
      }
      if (!interrupt.signal.aborted) throw error
    } finally {
      this.#interrupt = undefined
    }
    return this.#divergence()
  }

  /** Whether the state must be replaced. Throws when it was replaced too often. */
  #divergence(): 'diverged' | undefined {
    if (this.#divergedForGood) throw this.#diverged
    return this.#diverged === undefined ? undefined : 'diverged'
  }

  async #catchUp(lag: Lag, signal: AbortSignal): Promise<void> {
    const { log, applier, status, clock, sync } = this.#init
    this.#snapshotTried = true
    status.enter('catching-up')
    const beganMs = clock.now()
    for (let everyMs = RETRY_FIRST_MS; ; everyMs = Math.min(2 * everyMs, CATCH_UP_EVERY_MS_MAX)) {
      const triedMs = clock.now()
      try {
        const position = { epoch: log.epoch, index: applier.applied }
        const caught = await sync.catchUp({ position, signal })
        this.#readable = true
        if (!this.#divergedForGood) this.#diverged = undefined
        this.#caughtUp = { caught, beganMs, installedMs: clock.now() }
        return
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof NoProvider)) throw error
        if (lag === 'far-behind') return
        await this.#unserved(lag, error, triedMs, signal)
      }
      // A session may end at once. Members that have said no are not asked again at once.
      await sleep(clock, Math.max(0, triedMs + everyMs - clock.now()), signal)
    }
  }

  /**
   * A whole session brought no snapshot. The state is lost, or wrong, until a member serves another one.
   * Members that did not answer may still have it.
   */
  async #unserved(
    lag: Exclude<Lag, 'far-behind'>,
    error: NoProvider,
    sinceMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, status, holders, reporter } = this.#init
    if (lag === 'diverged') {
      const { anchor, own, sealed } = this.#diverged!
      return status.enter('lost', new Diverged(anchor, own, sealed, error))
    }
    const first = Math.max((await log.bounds({ signal })).first, this.#truncated?.first ?? 0)
    if (holders.since(sinceMs).every((id) => error.refusals.has(id))) {
      return status.enter('lost', new StateLost(first, error, await this.#beginning(lag, signal)))
    }
    status.enter('catching-up')
    reporter.problem(error)
  }

  /** What the log begins with, where that is no entry that is missing. */
  async #beginning(lag: Lag, signal: AbortSignal): Promise<Beginning | undefined> {
    const { log, group } = this.#init
    if (lag === 'truncated' && log.prunes === false) return { keptBy: 'others' }
    if (lag === 'older') return { older: group.signature }
    const genesis = lag === 'genesis' ? await readGenesis(log, signal) : undefined
    return genesis && { snapshot: snapshotOf(genesis) }
  }

  #enterInSync(): void {
    const { status, clock, announcer, disk, reporter } = this.#init
    this.#failures = 0
    if (status.state === 'in-sync' || this.#diverged !== undefined) return
    const caughtUp = this.#caughtUp
    this.#caughtUp = undefined
    this.#snapshotTried = false
    announcer.unpin()
    disk?.inSync()
    status.enter('in-sync')
    if (caughtUp === undefined) return
    const { caught, beganMs, installedMs } = caughtUp
    const nowMs = clock.now()
    reporter.emit('caught-up', { ...caught, totalMs: nowMs - beganMs, replayMs: nowMs - installedMs })
  }
}

/** Errors after which it is useless to follow the same log with the same state: the operator decides. */
function isFinal(error: Error): boolean {
  return isOfLog(error) || [ApplyFailed, Diverged, InstallFailed].some((kind) => error instanceof kind)
}

/** The log cannot be followed any more. The state is what it was, whole and at its position. */
export function isOfLog(error: Error | undefined): boolean {
  return [EpochChanged, LogDamaged, LogRewound, UpgradeRequired].some((kind) => error instanceof kind)
}
