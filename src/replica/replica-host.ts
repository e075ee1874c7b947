import type { AnchorProgress } from '../group/anchor-progress.ts'
import { decodeControl, encodeControl, type Marker } from '../group/control.ts'
import type { GroupState } from '../group/group-state.ts'
import type { Member, Membership } from '../group/membership.ts'
import { ELECTORATE_MAX, Seal } from '../group/seal.ts'
import { LogUnavailable } from '../log/errors.ts'
import type { Log } from '../log/log.ts'
import type { Snapshot } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'
import type { OwnState, SyncHost, SyncMember } from '../sync/host.ts'
import { Disputed, NoMarker, NotLeader } from '../sync/wire/errors.ts'
import { type Clock, Deadline } from '../time/clock.ts'

export interface ReplicaHostInit {
  readonly group: string
  readonly signature: string
  readonly self: string
  readonly log: Log
  readonly clock: Clock
  readonly chunkBytes: number
  /** How long an electorate has to agree, in milliseconds. */
  readonly sealTimeoutMs: number
  readonly membership: Membership
  readonly progress: AnchorProgress
  readonly state: GroupState
  /** Only then this replica is at its post, whoever the log says leads. */
  readonly inSync: () => boolean
  /** Resolves when everything up to there is in the state. */
  readonly reached: (position: Position) => Promise<void>
  readonly pin: (anchor: number) => Promise<void>
  readonly capture: () => Snapshot
  readonly beginInstall: (signal: AbortSignal) => StateBuilder
  /** The log says that the group agreed on this root, for an anchor that is being fetched. */
  readonly onSealed: (anchor: number, marker: Marker) => void
}

/** So many electors outvote one that is wrong. */
const ELECTORATE_MIN = 3
/** For so many times as long as it had to attest, a silent elector is left out. */
const LEFT_OUT_TIMES = 5
/** The log's servers are not waited for any longer while an anchor is being fetched. */
const BOUNDS_TIMEOUT_MS = 1_000

/** What snapshot sync needs, answered from the group's log and presence store. */
export class ReplicaHost implements SyncHost {
  readonly group: string
  readonly signature: string
  readonly epoch: string
  readonly #init: ReplicaHostInit
  /** When this replica appended which marker, for as long as that matters. */
  readonly #markedAtMs = new Map<number, number>()
  /** The attestations of anchors whose markers this replica reads, and has not applied. */
  readonly #reading = new Map<number, Seal>()

  constructor(init: ReplicaHostInit) {
    this.#init = init
    this.group = init.group
    this.signature = init.signature
    this.epoch = init.log.epoch
  }

  /**
   * The log says who leads; only a replica that does not follow it to its end believes the announcements. One that leads, and
   * lags or diverged, has resigned.
   */
  leader(): string | undefined {
    const { state, membership, self, inSync } = this.#init
    let { leader, term } = state
    if (inSync()) return leader
    for (const { id, leads } of membership.list()) {
      if (leads > term) [leader, term] = [id, leads]
    }
    return leader === self ? undefined : leader
  }

  members(): SyncMember[] {
    const nowMs = this.#init.clock.now()
    return this.#init.membership
      .list()
      .map(({ id, addresses, state, offers, applied, needs, announcedAtMs }) => ({
        id,
        addresses,
        applied,
        needs,
        serves: state === 'in-sync' || state === 'following' || offers.length > 0,
        offers: offers.map(({ anchor, remainingMs }) => ({
          anchor,
          remainingMs: announcedAtMs + remainingMs - nowMs,
        })),
      }))
  }

  async refreshMembers(): Promise<void> {
    await this.#init.membership.refresh()
  }

  async appendMarker(requester: string, retires: readonly Position[] = []): Promise<Position> {
    const { self, log, state, membership, clock, chunkBytes, reached } = this.#init
    await membership.refresh()
    const electorate = this.#electorate(membership.list())
    const { leader, term } = state
    if (leader !== self) throw new NotLeader(leader)
    const marker = {
      type: 'marker',
      term,
      electorate,
      requesters: [requester],
      chunkBytes,
      retires: retires.map(({ index }) => index),
    } as const
    const { first } = await log.append([{ kind: 'control', payload: encodeControl(marker) }])
    this.#markedAtMs.set(first, clock.now())
    const anchor = { epoch: this.epoch, index: first }
    await reached(anchor)
    // A claim that came before it made it a no-op, at which nobody captures.
    if (state.seal(first) === undefined) throw new NotLeader(state.leader)
    return anchor
  }

  /** Where nobody can tell it is taken to be: what is fetched then is not lost, and whoever follows the log next finds out. */
  async isReadable(position: Position): Promise<boolean> {
    const { log } = this.#init
    if (position.epoch !== this.epoch) return false
    if (log.connection === undefined) return (await log.bounds()).first <= position.index
    if (!log.connection.connected) return true
    using late = new Deadline(this.#init.clock, BOUNDS_TIMEOUT_MS)
    const { signal } = late
    try {
      return (await log.bounds({ signal })).first <= position.index
    } catch (error) {
      if (signal.aborted || error instanceof LogUnavailable) return true
      throw error
    }
  }

  mayBeSealed(anchor: Position): boolean {
    const { state, membership, self } = this.#init
    const seal = state.seal(anchor.index) ?? this.#reading.get(anchor.index)
    if (seal === undefined || seal.state === 'sealed') return true
    const present = seal.silent.filter((elector) => elector === self || membership.get(elector) !== undefined)
    return seal.state === 'open' && seal.mayBeSealedBy(present)
  }

  hasStalled(anchor: Position): boolean {
    return this.#init.progress.hasStalled(anchor.index)
  }

  /** Read off the log, from the marker on: whoever catches up cannot apply what comes before. */
  async sealedRoot(anchor: Position, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#readSeal(anchor, signal)
    } finally {
      this.#reading.delete(anchor.index)
    }
  }

  async #readSeal(anchor: Position, signal: AbortSignal): Promise<Uint8Array> {
    let marker: Marker | undefined
    let seal: Seal | undefined
    for await (const { entries } of this.#init.log.follow({ index: anchor.index - 1 }, { signal })) {
      for (const entry of entries) {
        if (entry.kind !== 'control' && entry.index !== anchor.index) continue
        const control = entry.epoch === this.epoch ? decodeControl(entry.payload) : undefined
        if (entry.index === anchor.index) {
          if (control?.type !== 'marker') throw new NoMarker(anchor)
          marker = control
          seal = new Seal(control.electorate)
          this.#reading.set(anchor.index, seal)
        } else if (control?.type === 'attestation' && control.anchor === anchor.index) {
          const change = seal?.attest(entry.author, control.root)
          if (change === 'disputed') throw new Disputed(anchor, seal!.attestations)
          if (change !== 'sealed') continue
          this.#init.onSealed(anchor.index, marker!)
          return control.root
        }
      }
    }
    throw signal.reason
  }

  async pin(anchor: Position | undefined): Promise<void> {
    await this.#init.pin(anchor?.index ?? 0)
  }

  ownState(): OwnState | undefined {
    const { capture, chunkBytes } = this.#init
    const snapshot = capture()
    if (snapshot.size > 0) return { snapshot, chunkBytes }
    snapshot.release()
    return undefined
  }

  beginInstall(signal: AbortSignal): StateBuilder {
    return this.#init.beginInstall(signal)
  }

  /**
   * Up to five members in sync, this one among them. Left out for a while is who was asked, and said nothing within the time
   * in which an anchor must be sealed, though this replica did: otherwise silent members could hold up every seal for ever. Three
   * are named all the same where there are three: who is only slow must not leave the word to one.
   */
  #electorate(members: readonly Member[]): string[] {
    const { self, state, clock, sealTimeoutMs } = this.#init
    for (const [anchor, atMs] of this.#markedAtMs) {
      if (clock.now() - atMs >= LEFT_OUT_TIMES * sealTimeoutMs) this.#markedAtMs.delete(anchor)
    }
    const overdue = (anchor: number) => {
      const atMs = this.#markedAtMs.get(anchor)
      const isOverdue = atMs !== undefined && clock.now() - atMs >= sealTimeoutMs
      return isOverdue && state.seal(anchor)?.attestations.has(self) === true
    }
    const silent = state.silent(overdue)
    const inSync = members.filter(({ id, state }) => id !== self && state === 'in-sync').map(({ id }) => id)
    const telling = inSync.filter((id) => !silent.has(id))
    const missing = Math.max(0, ELECTORATE_MIN - 1 - telling.length)
    const needed = inSync.length < ELECTORATE_MIN - 1 ? 0 : missing
    const filling = inSync.filter((id) => silent.has(id)).slice(0, needed)
    return [self, ...telling, ...filling].slice(0, ELECTORATE_MAX)
  }
}
