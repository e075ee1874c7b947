import type { AnchorProgress } from '../../group/anchor-progress.ts'
import { appendControl } from '../../group/control.ts'
import { UpgradeRequired } from '../../group/errors.ts'
import { FIRST_FORMAT } from '../../group/formats.ts'
import type { GroupState } from '../../group/group-state.ts'
import type { Member, Membership } from '../../group/membership.ts'
import { ELECTORATE_MAX } from '../../group/seal.ts'
import { speaks } from '../../group/versions.ts'
import { LogUnavailable } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import type { StateMachine } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import type { Answer, Order, OwnState, SyncHost, SyncMember } from '../../sync/host.ts'
import { Failed, NotLeader } from '../../sync/wire/errors.ts'
import { type Clock, Deadline } from '../../time/clock.ts'
import type { Follower } from '../following/follower.ts'
import type { Positions } from '../following/positions.ts'
import type { Announcer } from '../membership/announcer.ts'
import type { Orders } from '../membership/orders.ts'
import { syncMembers } from '../membership/sync-members.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'
import type { Installer } from './installer.ts'
import { type ReplicaReport, reportOf } from './report.ts'
import type { SealReader } from './seal-reader.ts'

export interface ReplicaHostInit {
  readonly groupName: string
  readonly self: string
  readonly log: Log
  readonly clock: Clock
  readonly chunkBytes: number
  /** How long an electorate has to agree, in milliseconds. */
  readonly sealTimeoutMs: number
  readonly group: GroupState
  readonly membership: Membership
  readonly progress: Pick<AnchorProgress, 'hasStalled'>
  /** Only in sync this replica is at its post, whatever leader the log names. */
  readonly status: Pick<Status, 'state' | 'failure'>
  readonly reporter: Pick<Reporter, 'trouble'>
  /** Aborts when this replica is told to stop. */
  readonly stopping: AbortSignal
  readonly positions: Pick<Positions, 'reached' | 'barrier' | 'current'>
  readonly announcer: Pick<Announcer, 'pin'>
  readonly machine: Pick<StateMachine, 'capture' | 'query'>
  readonly seals: SealReader
}

/** Three electors outvote one that is wrong. */
const ELECTORATE_MIN = 3
/** A silent elector is left out for five times as long as it had to attest. Then it is asked again. */
const LEFT_OUT_TIMES = 5
/**
 * How long the log's servers are waited for while an anchor is being fetched, in milliseconds: chunks go on
 * coming meanwhile.
 */
const LOG_TIMEOUT_MS = 1_000

/** What snapshot sync needs, answered from the group's log and presence store. */
export class ReplicaHost implements SyncHost {
  readonly group: string
  readonly epoch: string
  readonly #init: ReplicaHostInit
  /** When this replica appended which marker, for as long as that matters. */
  readonly #markedAtMs = new Map<number, number>()
  #installer: Pick<Installer, 'begin'> | undefined
  #follower: Pick<Follower, 'assertReadable'> | undefined
  #orders: Pick<Orders, 'obey' | 'pruneOutlook'> | undefined

  constructor(init: ReplicaHostInit) {
    this.#init = init
    this.group = init.groupName
    this.epoch = init.log.epoch
  }

  /** The version that the group speaks, as far as this replica has followed its log. */
  get signature(): string {
    return this.#init.group.signature
  }

  get also(): readonly string[] {
    const { signature, versions } = this.#init.group
    return versions.signatures.filter((other) => other !== signature)
  }

  /**
   * What sessions fetch is installed by this. It comes late: an install is offered by snapshot sync, which
   * stands on this host.
   */
  installBy(installer: Pick<Installer, 'begin'>): void {
    this.#installer = installer
  }

  /** Who knows whether the state may be read, and who takes orders. They come late for the same reason. */
  serveBy(follower: Pick<Follower, 'assertReadable'>, orders: Pick<Orders, 'obey' | 'pruneOutlook'>): void {
    this.#follower = follower
    this.#orders = orders
  }

  /**
   * The log says who leads. Only a replica that does not follow it to its end believes the announcements. A
   * leader that lags, diverged or stops has resigned.
   */
  leader(): string | undefined {
    const { group, membership, self, status, stopping } = this.#init
    let { leader, term } = group
    // One that stops applies nothing any more: it would write a marker for each request, and name none of
    // them.
    if (status.state === 'in-sync' && !(stopping.aborted && leader === self)) return leader
    for (const { id, leads } of membership.list()) {
      if (leads > term) [leader, term] = [id, leads]
    }
    return leader === self ? undefined : leader
  }

  members(): SyncMember[] {
    return syncMembers(this.#init.membership.list(), this.#init.clock.now())
  }

  onMembersChanged(listener: () => void): () => void {
    return this.#init.membership.listen({ membersChanged: listener })
  }

  async refreshMembers(): Promise<void> {
    await this.#init.membership.refresh()
  }

  async appendMarker(requester: string, retires: readonly Position[] = []): Promise<Position> {
    const { self, log, group, membership, clock, chunkBytes, positions, stopping } = this.#init
    await membership.refresh()
    const electorate = this.#electorate(membership.list())
    const { leader, term, format, signature } = group
    if (leader !== self || stopping.aborted) throw new NotLeader(leader === self ? undefined : leader)
    const marker = {
      type: 'marker',
      term,
      electorate,
      requesters: [requester],
      chunkBytes,
      retires: retires.map(({ index }) => index),
      ...(format > FIRST_FORMAT && { signature }),
    } as const
    const first = await appendControl(log, marker)
    this.#markedAtMs.set(first, clock.now())
    const anchor = { epoch: this.epoch, index: first }
    // One that stops applies nothing any more, and its own checkpointer may be who asked: stopping waits for that.
    await positions.reached(anchor, { signal: stopping }).catch((error: Error) => {
      throw stopping.aborted ? new NotLeader(undefined) : error
    })
    if (group.seal(first) !== undefined) return anchor
    // An upgrade that came before it made it a no-op, at which nobody captures.
    const isUpgraded = group.signature !== signature || group.format !== format
    if (group.leader === self && group.term === term && isUpgraded) {
      return await this.appendMarker(requester, retires)
    }
    // So did a claim.
    throw new NotLeader(group.leader)
  }

  /**
   * If the log cannot be reached, assume that the position is readable. A running download is kept, and the
   * next read of the log settles it.
   */
  async isReadable(position: Position): Promise<boolean> {
    return (await this.#isInLog(position)) && (await this.#isSpoken(position))
  }

  async #isInLog(position: Position): Promise<boolean> {
    const { log, clock } = this.#init
    if (position.epoch !== this.epoch) return false
    if (log.connection === undefined) return (await log.bounds()).first <= position.index
    if (!log.connection.connected) return true
    using late = new Deadline(clock, LOG_TIMEOUT_MS)
    try {
      return (await log.bounds({ signal: late.signal })).first <= position.index
    } catch (error) {
      if (late.signal.aborted || error instanceof LogUnavailable) return true
      throw error
    }
  }

  mayBeSealed(anchor: Position): boolean {
    const { group, membership, self, seals } = this.#init
    const seal = group.seal(anchor.index) ?? seals.reading(anchor.index)
    if (seal === undefined || seal.state === 'sealed') return true
    const present = seal.silent.filter((elector) => elector === self || membership.get(elector) !== undefined)
    return seal.state === 'open' && seal.mayBeSealedBy(present)
  }

  hasStalled(anchor: Position): boolean {
    return this.#init.progress.hasStalled(anchor.index)
  }

  /** Read off the log: see `SealReader`. */
  async sealedRoot(anchor: Position, signal: AbortSignal): Promise<Uint8Array> {
    const { root } = await this.#init.seals.read(anchor, signal)
    return root
  }

  async pin(anchor: Position | undefined): Promise<void> {
    await this.#init.announcer.pin(anchor?.index ?? 0)
  }

  ownState(): OwnState | undefined {
    const { machine, group, chunkBytes } = this.#init
    const snapshot = machine.capture(group.signature)
    if (snapshot.size !== 0) return { snapshot, chunkBytes }
    snapshot.release()
    return undefined
  }

  /** All that was committed before is in the answer. */
  async query(question: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const { machine, positions } = this.#init
    if (machine.query === undefined)
      throw new Failed(`a machine of ${this.signature} answers no questions: it has no query()`)
    await positions.barrier({ signal })
    this.#follower?.assertReadable()
    return { bytes: machine.query(question), index: positions.current.index }
  }

  async status(signal: AbortSignal): Promise<ReplicaReport> {
    return await reportOf(this.#init, this.#orders, signal)
  }

  async order(order: Order): Promise<number> {
    if (this.#orders === undefined) throw new NotLeader(undefined)
    return await this.#orders.obey(order)
  }

  beginInstall(signal: AbortSignal, anchor: Position): StateBuilder {
    if (this.#installer === undefined) throw new Error('this replica has not begun to follow the log')
    return this.#installer.begin('network', signal, () => this.#signatureAt(anchor, signal))
  }

  /**
   * False for a snapshot from before an upgrade, where another can be had: in sync, this replica is asked for those
   * whose programs may be newer. One of the version that the log began with is from before an upgrade if this process
   * does not speak it, or the log would have been refused. Throws `UpgradeRequired` for one of a newer version.
   */
  async #isSpoken(anchor: Position): Promise<boolean> {
    const { status, group, clock } = this.#init
    using late = new Deadline(clock, LOG_TIMEOUT_MS)
    // What is no marker, or cannot be read, is found out by whoever reads the seal.
    const signature = await this.#signatureAt(anchor, late.signal).catch(() => undefined)
    if (signature === undefined) return true
    if (status.state === 'in-sync') return signature === group.signature
    const { versions, bound } = group
    if (versions.speaks(signature)) return true
    if (signature === bound) return false
    throw new UpgradeRequired(signature, versions.signatures)
  }

  /** The version of the machine that the snapshot of an anchor is of. */
  async #signatureAt(anchor: Position, signal?: AbortSignal): Promise<string> {
    const { seals, group } = this.#init
    return (await seals.signatureAt(anchor, signal)) ?? group.bound
  }

  /**
   * Up to five members in sync, this one among them. A member is left out for a while if it was asked and
   * said nothing within the time in which an anchor must be sealed, though this replica did. Otherwise silent
   * members could hold up every seal for ever. Three are named all the same where there are three: members
   * that are only slow must not leave the word to one.
   */
  #electorate(members: readonly Member[]): string[] {
    const { self, group, clock, sealTimeoutMs } = this.#init
    for (const [anchor, atMs] of this.#markedAtMs) {
      if (clock.now() - atMs >= LEFT_OUT_TIMES * sealTimeoutMs) this.#markedAtMs.delete(anchor)
    }
    const overdue = (anchor: number) => {
      const atMs = this.#markedAtMs.get(anchor)
      const isOverdue = atMs !== undefined && clock.now() - atMs >= sealTimeoutMs
      return isOverdue && group.seal(anchor)?.attestations.has(self) === true
    }
    const silent = group.silent(overdue)
    // One that speaks less captures something else.
    const mayAttest = (member: Member) => member.state === 'in-sync' && speaks(member, group, group.bound)
    const inSync = members.filter((one) => one.id !== self && mayAttest(one)).map(({ id }) => id)
    const telling = inSync.filter((id) => !silent.has(id))
    const missing = Math.max(0, ELECTORATE_MIN - 1 - telling.length)
    const needed = inSync.length < ELECTORATE_MIN - 1 ? 0 : missing
    const filling = inSync.filter((id) => silent.has(id)).slice(0, needed)
    return [self, ...telling, ...filling].slice(0, ELECTORATE_MAX)
  }
}
