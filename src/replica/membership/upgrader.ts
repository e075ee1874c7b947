import { appendControl } from '../../group/control.ts'
import { UpgradeRefused } from '../../group/errors.ts'
import { FIRST_FORMAT } from '../../group/formats.ts'
import type { GroupState } from '../../group/group-state.ts'
import type { Member, Membership } from '../../group/membership.ts'
import { commonFormat, type Spoken, speaks } from '../../group/versions.ts'
import type { Log } from '../../log/log.ts'
import type { Position } from '../../position.ts'
import { NotLeader } from '../../sync/wire/errors.ts'
import { asError } from '../../thrown.ts'
import type { Clock, Timer } from '../../time/clock.ts'
import type { Applier } from '../following/applier.ts'
import type { Positions } from '../following/positions.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'

/** See `ReplicaInit.upgrade`. */
export type UpgradePolicy =
  | 'auto'
  | 'manual'
  /** How long all members must have spoken a version, in milliseconds. */
  | { readonly afterMs: number }

/** Options of `Replica.upgrade`. */
export interface UpgradeOptions {
  /** The signature of the version. Default: the newest that all members speak. */
  readonly to?: string
  /** Stops the wait: see `SignalOptions`. The upgrade may come all the same. Default: none. */
  readonly signal?: AbortSignal
}

/**
 * How long all members must have spoken a version, in milliseconds. A replica that is being restarted with the
 * older one is away for less, and would be left behind.
 */
const AFTER_MS_DEFAULT = 30_000
/** Pause before an upgrade is tried again, in milliseconds. */
const RETRY_MS = 1_000
/** Pause before it is noted in the log again, in milliseconds: a missing permission stays missing for long. */
const NOTE_RETRY_MS = 600_000

export interface UpgraderInit {
  /** This replica's PeerId, as text. */
  readonly self: string
  readonly epoch: string
  readonly log: Pick<Log, 'append' | 'signature' | 'upgraded'> & Partial<Pick<Log, 'noteUpgrade'>>
  readonly clock: Clock
  readonly group: GroupState
  readonly status: Pick<Status, 'state'>
  readonly membership: Pick<Membership, 'list' | 'refresh'>
  readonly applier: Pick<Applier<unknown>, 'applied'>
  readonly positions: Pick<Positions, 'reached'>
  readonly policy: UpgradePolicy | undefined
  readonly reporter: Pick<Reporter, 'problem'>
  /** Aborts when the replica stops. */
  readonly stopping: AbortSignal
}

/**
 * Has the group go over to a newer version, while this replica leads. All members must speak it: one that does
 * not would be left behind. The way back ends there, so an upgrade that nobody asked for waits for a while.
 */
export class Upgrader {
  readonly #init: UpgraderInit
  /** What all members speak, and since when. */
  #candidate: { readonly of: Spoken; readonly sinceMs: number } | undefined
  #timer: Timer | undefined
  #isBusy = false
  /** The log did not take the note: not before this time again. */
  #noteAtMs = Number.NEGATIVE_INFINITY

  constructor(init: UpgraderInit) {
    this.#init = init
    init.stopping.addEventListener('abort', () => this.#timer?.cancel(), { once: true })
  }

  /** Decide again: the members, the leader, or what the group speaks may have changed. */
  look(): void {
    const { clock, policy = 'auto', stopping } = this.#init
    this.#timer?.cancel()
    if (stopping.aborted || this.#isBusy) return
    if (!this.#leads) {
      this.#candidate = undefined
      return
    }
    if (this.#isNoteDue) return this.#attempt(() => this.#note())
    const newest = policy === 'manual' ? undefined : this.#newest()
    if (newest === undefined) {
      this.#candidate = undefined
      return
    }
    if (!same(this.#candidate?.of, newest)) this.#candidate = { of: newest, sinceMs: clock.now() }
    const afterMs = typeof policy === 'object' ? policy.afterMs : AFTER_MS_DEFAULT
    const waitMs = this.#candidate!.sinceMs + afterMs - clock.now()
    if (waitMs > 0) this.#timer = clock.schedule(waitMs, () => this.look())
    else this.#attempt(() => this.#upgradeUnasked(newest))
  }

  /** See `Replica.upgrade`. */
  async upgrade({ to, signal }: UpgradeOptions): Promise<Position> {
    const { group, membership } = this.#init
    if (!this.#leads) throw this.#notLeader()
    await membership.refresh()
    const wanted = to === undefined ? this.#newest() : { format: this.#commonFormat, signature: to }
    if (wanted === undefined) throw this.#nothingNewer()
    if (to !== undefined) this.#assertNewer(to)
    const deaf = this.#members.filter((member) => !speaks(member, wanted, group.bound))
    if (deaf.length > 0) {
      const ids = deaf.map(({ id }) => id).join(', ')
      throw new UpgradeRefused(
        `these members do not speak ${JSON.stringify(wanted.signature)}: ${ids}; restart them with a version that does, or stop them`,
      )
    }
    return await this.#upgrade(wanted, signal)
  }

  get #leads(): boolean {
    const { self, group, status } = this.#init
    return group.leader === self && status.state === 'in-sync'
  }

  /** Those who would be left behind. One that has halted is that already; one that has stopped is leaving. */
  get #members(): Member[] {
    return this.#init.membership.list().filter(({ state }) => state !== 'halted' && state !== 'stopped')
  }

  get #commonFormat(): number {
    const { format, versions } = this.#init.group
    return Math.max(format, commonFormat(versions, this.#members))
  }

  /** What newer version all members speak, of the machine or of the format; undefined: none. */
  #newest(): Spoken | undefined {
    const { group } = this.#init
    const format = this.#commonFormat
    const members = this.#members
    const newer = this.#newerSignatures()
    // The first format has no upgrade of the machine.
    const mayDiffer = format > FIRST_FORMAT
    const signature =
      (mayDiffer ? newer : []).find((one) =>
        members.every((member) => speaks(member, { format, signature: one }, group.bound)),
      ) ?? group.signature
    return format === group.format && signature === group.signature ? undefined : { format, signature }
  }

  /** Those that this process speaks and that come after the one of now, the newest first. */
  #newerSignatures(): readonly string[] {
    const { signature, versions } = this.#init.group
    return versions.signatures.slice(0, Math.max(0, versions.signatures.indexOf(signature)))
  }

  async #upgrade(to: Spoken, signal?: AbortSignal): Promise<Position> {
    const { log, group, epoch, positions, stopping } = this.#init
    const { term, signature: from } = group
    const { format, signature } = to
    const index = await appendControl(log, { type: 'upgrade', term, format, from, to: signature })
    const position = { epoch, index }
    const either = signal === undefined ? stopping : AbortSignal.any([signal, stopping])
    await positions.reached(position, { signal: either })
    // A claim, or another upgrade, may have come before it.
    if (group.signature !== signature || group.format < format) throw this.#notLeader()
    return position
  }

  /** Nobody was asked for a while: somebody may have come meanwhile. */
  async #upgradeUnasked(to: Spoken): Promise<void> {
    await this.#init.membership.refresh()
    if (this.#leads && same(this.#newest(), to)) await this.#upgrade(to)
  }

  get #isNoteDue(): boolean {
    const { log, group, clock } = this.#init
    // A backend of an older release takes no notes.
    if (log.noteUpgrade === undefined) return false
    // The first release does not know the second format, either, and is refused by any note.
    const noted = group.format > FIRST_FORMAT ? log.upgraded : (log.upgraded ?? log.signature)
    return group.signature !== noted && clock.now() >= this.#noteAtMs
  }

  async #note(): Promise<void> {
    const { log, group, applier, clock } = this.#init
    this.#noteAtMs = clock.now() + NOTE_RETRY_MS
    const { signature } = group
    await log.noteUpgrade?.(signature, applier.applied)
    if (log.upgraded === signature) this.#noteAtMs = Number.NEGATIVE_INFINITY
  }

  #attempt(work: () => Promise<void>): void {
    const { clock, reporter, stopping } = this.#init
    this.#isBusy = true
    work().then(
      () => {
        this.#isBusy = false
        this.look()
      },
      (error: unknown) => {
        this.#isBusy = false
        if (stopping.aborted) return
        reporter.problem(asError(error))
        this.#timer = clock.schedule(RETRY_MS, () => this.look())
      },
    )
  }

  #assertNewer(to: string): void {
    const { signature, versions } = this.#init.group
    if (this.#newerSignatures().includes(to)) return
    const asked = JSON.stringify(to)
    if (to === signature) throw this.#nothingNewer()
    if (versions.speaks(to)) {
      throw new UpgradeRefused(
        `${asked} is older than ${JSON.stringify(signature)}, which the group speaks: there is no way back after an upgrade, since the state has the newer form`,
      )
    }
    const ours = versions.signatures.map((one) => JSON.stringify(one)).join(', ')
    throw new UpgradeRefused(`the leader does not speak ${asked}; it speaks ${ours}`)
  }

  #nothingNewer(): UpgradeRefused {
    const { signature, format } = this.#init.group
    return new UpgradeRefused(
      `the group speaks ${JSON.stringify(signature)} in format ${format} already, and not all members speak anything newer`,
    )
  }

  #notLeader(): NotLeader {
    const { self, group } = this.#init
    return new NotLeader(group.leader === self ? undefined : group.leader)
  }
}

function same(a: Spoken | undefined, b: Spoken | undefined): boolean {
  return a?.format === b?.format && a?.signature === b?.signature
}
