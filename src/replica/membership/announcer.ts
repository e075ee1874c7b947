import { announcementBytesMax, encodeWithin } from '../../group/announcement.ts'
import type { CatchUpProgress } from '../../group/catch-up-progress.ts'
import type { GroupState } from '../../group/group-state.ts'
import type { Membership } from '../../group/membership.ts'
import type { Namesakes } from '../../group/namesakes.ts'
import { EntryTooLarge } from '../../log/errors.ts'
import { isConnected, type Log } from '../../log/log.ts'
import type { SubmitOptions } from '../../machine/machine.ts'
import { packageVersion } from '../../package-version.ts'
import { OFFERS_MAX } from '../../sync/limits.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { Ticker } from '../../time/ticker.ts'
import type { Disk } from '../disk/disk.ts'
import { FarewellFailed, IdentityInUse } from '../errors.ts'
import type { Applier } from '../following/applier.ts'
import type { ReplicaNetwork } from '../node/network.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'
import type { Pruner } from './pruner.ts'

/** Announcements are renewed this many times within a lease. */
const ANNOUNCEMENTS_PER_LEASE = 5
/**
 * How long a replica waits for an answer of the process that announced itself by its name before, in
 * milliseconds. Most often that is an earlier life of its own, which was killed a moment ago, and a restart
 * takes that much longer. A process that lives answers within 50 ms.
 */
const NAMESAKE_WAIT_MS = 250
/**
 * Pause between two looks at the presence store meanwhile, in milliseconds: two of them fit into those 50 ms.
 */
const NAMESAKE_POLL_INTERVAL_MS = 25
/**
 * How long a replica that stops tries to say so, in milliseconds: an operator waits for its process to end.
 */
const FAREWELL_MS = 1_000

export interface AnnouncerInit {
  /** This replica's PeerId, as text. */
  readonly self: string
  /** Names this process: two with one identity can be told apart. */
  readonly process: string
  readonly log: Log
  readonly clock: Clock
  readonly leaseMs: number
  readonly group: Pick<GroupState, 'leader' | 'term' | 'versions' | 'signature'>
  readonly status: Pick<Status, 'state'>
  readonly applier: Pick<Applier<unknown>, 'applied'>
  readonly membership: Pick<Membership, 'refresh'>
  readonly namesakes: Namesakes
  readonly reporter: Pick<Reporter, 'problem'>
  /** Aborts when the replica stops. */
  readonly stopping: AbortSignal
}

/** What is announced of a replica that serves. */
export interface Announced {
  readonly network: Pick<ReplicaNetwork, 'addresses' | 'networkKeys'>
  readonly sync: Pick<SnapshotSync, 'offers' | 'servedBytes' | 'progressBytes'>
  readonly pruner: Pick<Pruner, 'wish'>
  readonly disk: Pick<Disk, 'checkpoint'> | undefined
  readonly catchUpWatch: { readonly progress: CatchUpProgress | undefined }
}

/**
 * This replica's presence in the group: it joins, says what it has and needs, several times a lease, and
 * takes its leave.
 */
export class Announcer {
  readonly #init: AnnouncerInit
  readonly #ticker: Ticker
  /** Undefined before this replica joins: there is no address to announce. */
  #announced: Announced | undefined
  /** The anchor this replica is catching up from; 0 when there is none. */
  #needs = 0

  constructor(init: AnnouncerInit) {
    const { clock, leaseMs, reporter, stopping } = init
    this.#init = init
    this.#ticker = new Ticker({
      clock,
      label: 'announcing',
      intervalMs: leaseMs / ANNOUNCEMENTS_PER_LEASE,
      run: (signal) => this.#announce({ signal }),
      onError: (error) => reporter.problem(error),
      signal: stopping,
    })
  }

  /**
   * Announce this replica for the first time. Rejects with `EntryTooLarge` for more addresses than a presence
   * can carry, and with `IdentityInUse` when another process of this identity answers.
   */
  async join(announced: Announced): Promise<void> {
    const { log, membership, namesakes } = this.#init
    this.#announced = announced
    checkAddresses(announced.network.addresses, log)
    await membership.refresh()
    namesakes.announcing()
    await this.#ticker.now()
    await this.#meetNamesake()
  }

  /** Something of what is announced has changed. */
  soon(): void {
    this.#ticker.soon()
  }

  /** Resolves when the group was told what there is to announce. Rejects with what the presence store says. */
  async told(): Promise<void> {
    await this.#ticker.now()
  }

  /** Resolves when the group was told that this replica needs the log from an anchor on; 0: no longer. */
  async pin(anchor: number): Promise<void> {
    this.#needs = anchor
    await this.#ticker.now()
  }

  /** This replica follows the log to its end: the next announcement says that it needs no anchor. */
  unpin(): void {
    this.#needs = 0
  }

  /** Announce nothing more by itself. */
  async stop(): Promise<void> {
    await this.#ticker.stop()
  }

  /** Say goodbye. A leader announces that it leads no more, so that nobody waits for its lease to run out. */
  async leave(options: { readonly led: boolean }): Promise<void> {
    const { self, clock, log, namesakes, reporter } = this.#init
    // What is in the presence store is the other process's.
    if (this.#announced === undefined || namesakes.hasYielded) return
    const late = new AbortController()
    const timer = clock.schedule(FAREWELL_MS, () => late.abort(new FarewellFailed(FAREWELL_MS)))
    const { signal } = late
    try {
      await (options.led ? this.#announce({ signal }) : log.notices.withdraw(self, { signal }))
    } catch (error) {
      reporter.problem(asError(error))
    } finally {
      timer.cancel()
    }
  }

  async #announce(options: SubmitOptions): Promise<void> {
    const { self, process, log, leaseMs, group, status, applier, namesakes } = this.#init
    // What was said before an outage would be heard after it: that a leader does not lead, though it does
    // again.
    if (this.#announced === undefined || !isConnected(log) || namesakes.hasYielded) return
    const { network, sync, pruner, disk, catchUpWatch } = this.#announced
    const offers = sync.offers.map(({ anchor, ...offer }) => {
      return { anchor: anchor.index, ...offer, servedBytes: sync.servedBytes(anchor) }
    })
    const { state } = status
    const { progress } = catchUpWatch
    const announcement = {
      epoch: log.epoch,
      addresses: network.addresses,
      state,
      applied: applier.applied,
      leads: state === 'in-sync' && group.leader === self ? group.term : 0,
      offers,
      needs: state === 'catching-up' || state === 'following' ? this.#needs : 0,
      receivedBytes: sync.progressBytes,
      checkpoint: disk?.checkpoint ?? 0,
      durable: disk !== undefined,
      ...(pruner.wish && { prune: pruner.wish }),
      process,
      contested: namesakes.isContested,
      format: group.versions.format,
      speaks: group.versions.names,
      version: packageVersion(),
      signature: group.signature,
      ...(progress && { catchUp: progress }),
      ...(network.networkKeys && { networkKeys: network.networkKeys }),
    }
    await log.notices.announce(self, encodeWithin(announcement, log.maxEntryBytes), leaseMs, options)
  }

  /**
   * Another process with this identity says so when it sees this announcement, and this process is refused
   * then.
   */
  async #meetNamesake(): Promise<void> {
    const { self, clock, membership, namesakes, stopping } = this.#init
    const endMs = clock.now() + NAMESAKE_WAIT_MS
    while (namesakes.mayBeAnother && clock.now() < endMs) {
      await sleep(clock, NAMESAKE_POLL_INTERVAL_MS, stopping)
      await membership.refresh()
      if (namesakes.hasYielded) throw new IdentityInUse(self)
    }
  }
}

/**
 * Throws `EntryTooLarge` for more addresses than a presence can carry beside all else that it may come to
 * say.
 */
function checkAddresses(addresses: readonly string[], { epoch, maxEntryBytes }: Log): void {
  const bytes = announcementBytesMax({ epoch, addresses, offers: OFFERS_MAX })
  if (bytes > maxEntryBytes) throw new EntryTooLarge(bytes, maxEntryBytes, { what: 'a notice' })
}
