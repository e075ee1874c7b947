import { formatPosition, type Position, positionKey } from '../../position.ts'
import type { Available, AvailableSnapshots } from '../../snapshot/available.ts'
import type { Clock } from '../../time/clock.ts'
import type { SyncHost } from '../host.ts'
import {
  BUSY_RETRY_MS,
  FOLLOWERS_ENOUGH,
  LIVE_ANCHORS_MAX,
  LIVE_ANCHORS_USUAL,
  VAIN_PAUSE_MS,
  VAIN_PAUSE_MS_MAX,
} from '../limits.ts'
import { Busy, CutFailed, NotLeader, type SyncError } from '../wire/errors.ts'

export interface AnchorAllocatorInit {
  readonly self: string
  readonly host: SyncHost
  readonly available: AvailableSnapshots
  readonly clock: Clock
  /** How long an offer lives when nobody fetches, in milliseconds. */
  readonly ttlMs: number
  /** An anchor that is not sealed by then is given up: a new marker names a fresh electorate. */
  readonly sealTimeoutMs: number
  /** Markers for one requester within a minute. */
  readonly markersPerMinute: number
}

interface PendingMarker {
  readonly promise: Promise<Position>
  readonly sinceMs: number
}

/** Markers that came to nothing, one after the other. */
interface Vain {
  readonly newest: Position
  readonly count: number
  readonly untilMs: number
  /** What whoever asks meanwhile is told. */
  readonly refusal: (retryMs: number) => SyncError
}

const MINUTE_MS = 60_000
/** A follower's offer that lives this long is still there when the requester comes: a few round trips of 200 ms. */
const NAMED_LIFE_MS_MIN = 1_000
/** An anchor was sealed or named so long ago without a pin that nobody will come for it: a few round trips, and less than 2 s. */
const RETIRE_AFTER_MS = 1_200

/**
 * The leader's answer to a snapshot request: the anchor of a live offer that fits, or of one new marker, which
 * requests that arrive meanwhile share.
 */
export class AnchorAllocator {
  readonly #init: AnchorAllocatorInit
  /** Markers that were appended, or are being, and that this replica has not applied yet, oldest first. */
  #pending: PendingMarker[] = []
  #appliedIndex = 0
  readonly #capturedAtMs = new Map<string, number>()
  readonly #sealedAtMs = new Map<string, number>()
  /** When each live offer was last named. */
  readonly #namedAtMs = new Map<string, number>()
  /** Anchors that a marker retires, which may not be applied yet. */
  readonly #retired = new Set<string>()
  #vain: Vain | undefined
  /** When a marker was appended for whom, oldest first, within the last minute. */
  #appended: { readonly requester: string; readonly atMs: number }[] = []

  constructor(init: AnchorAllocatorInit) {
    this.#init = init
  }

  /**
   * The anchor for a requester that needs one above a position. Rejects with `NotLeader`, and with `Busy` while as many anchors are
   * in use as may be, or the requester had too many markers.
   */
  async anchorFor(requester: string, above: Position): Promise<Position> {
    const { host, self, available } = this.#init
    const leader = host.leader()
    if (leader !== self) throw new NotLeader(leader)

    const useless = new Set<string>()
    const thin: Position[] = []
    for (const { anchor } of available.list().reverse()) {
      if (!(await this.#usable(anchor))) {
        useless.add(positionKey(anchor))
        continue
      }
      if (anchor.epoch !== above.epoch || anchor.index <= above.index) continue
      if (!this.#isWidelyOffered(anchor)) thin.push(anchor)
      else if (this.#name(anchor)) return anchor
    }
    const newest = this.#underway().at(-1)
    if (newest !== undefined) {
      const anchor = await newest.promise
      if (anchor.index > above.index) return anchor
    }
    // A pin that was just announced may not have been read.
    if (available.list().length >= LIVE_ANCHORS_USUAL) await host.refreshMembers()
    try {
      return await this.#mark(requester, useless)
    } catch (error) {
      if (!(error instanceof Busy)) throw error
      // One provider is better than none.
      for (const anchor of thin) if (this.#name(anchor)) return anchor
      throw error
    }
  }

  /** Name a live offer. False when it was released meanwhile. */
  #name(anchor: Position): boolean {
    const { available, clock } = this.#init
    if (available.revive(anchor) === undefined) return false
    this.#namedAtMs.set(positionKey(anchor), clock.now())
    return true
  }

  /** Have the group capture. Counted without a pause before the append: requests that come at once see each other's markers. */
  async #mark(requester: string, useless: ReadonlySet<string>): Promise<Position> {
    const { host, available, clock } = this.#init
    const live = available.list().filter(({ anchor }) => !useless.has(positionKey(anchor)))
    const idle = live.filter((one) => this.#isIdle(one)).map(({ anchor }) => anchor)
    const count = live.length + this.#underway().length
    const retires = idle.slice(0, Math.max(0, count + 1 - LIVE_ANCHORS_USUAL))
    if (count - retires.length >= LIVE_ANCHORS_MAX) {
      const retryMs = Math.min(...live.map(({ anchor }) => this.#idleInMs(anchor)))
      throw new Busy(`${LIVE_ANCHORS_MAX} anchors are in use already, and none fits`, retryMs)
    }
    this.#assertWorthwhile()
    this.#countMarker(requester)
    for (const anchor of retires) this.#retired.add(positionKey(anchor))
    const promise = host.appendMarker(requester, retires)
    const pending = { promise, sinceMs: clock.now() }
    this.#pending.push(pending)
    promise.then(
      // It may have been applied by the time it is known where it is.
      (anchor) => anchor.index <= this.#appliedIndex && this.#settle(pending),
      () => {
        for (const anchor of retires) this.#retired.delete(positionKey(anchor))
        this.#settle(pending)
      },
    )
    return await promise
  }

  /**
   * Whether the followers that have applied past the anchor still offer it, and for long enough that a requester finds them: the
   * leader cuts later than they do, so that its own offer outlives theirs.
   */
  #isWidelyOffered(anchor: Position): boolean {
    const { host, self, ttlMs } = this.#init
    const others = host
      .members()
      .filter(({ id, serves, applied }) => id !== self && serves && applied >= anchor.index)
    const lifeMs = Math.min(NAMED_LIFE_MS_MIN, ttlMs / 4)
    const offering = others.filter(
      ({ offers }) =>
        offers === undefined ||
        offers.some((offer) => offer.anchor === anchor.index && offer.remainingMs >= lifeMs),
    )
    return offering.length >= Math.min(FOLLOWERS_ENOUGH, others.length)
  }

  /** How long from now an anchor may be retired, if nobody comes for it; the usual pause where that is not known. */
  #idleInMs(anchor: Position): number {
    const key = positionKey(anchor)
    const sealedAtMs = this.#sealedAtMs.get(key)
    if (sealedAtMs === undefined) return BUSY_RETRY_MS
    const wantedAtMs = Math.max(sealedAtMs, this.#namedAtMs.get(key) ?? sealedAtMs)
    return Math.max(0, wantedAtMs + RETIRE_AFTER_MS - this.#init.clock.now())
  }

  /** Nobody reads it, nobody pins it or makes progress with it, and whoever it was for has had time to come. */
  #isIdle({ anchor, uses }: Available): boolean {
    const { host } = this.#init
    const key = positionKey(anchor)
    if (uses > 0 || !this.#sealedAtMs.has(key) || this.#idleInMs(anchor) > 0) return false
    return host.hasStalled?.(anchor) === true || !host.members().some(({ needs }) => needs === anchor.index)
  }

  /** Those that may yet be applied and sealed in time. */
  #underway(): readonly PendingMarker[] {
    const { clock, sealTimeoutMs } = this.#init
    this.#pending = this.#pending.filter(({ sinceMs }) => clock.now() - sinceMs < sealTimeoutMs)
    return this.#pending
  }

  /** The marker was applied: from here on the anchor is an offer like any other. */
  captured(anchor: Position): void {
    this.#capturedAtMs.set(positionKey(anchor), this.#init.clock.now())
    this.#applied(anchor)
  }

  /** The group cannot agree on its root, whether this replica captured it or not: the next request gets a new marker. */
  disputed(anchor: Position): void {
    this.#applied(anchor)
    const why = `the group does not agree on its state at ${formatPosition(anchor)}`
    // A session that asks for as long as it takes to seal meets a dispute itself, and with it who attested what.
    const pauseMsMax = this.#init.sealTimeoutMs / 2
    this.#cameToNothing(anchor, pauseMsMax, (retryMs) => new Busy(why, retryMs))
  }

  #applied(anchor: Position): void {
    this.#appliedIndex = Math.max(this.#appliedIndex, anchor.index)
    for (const pending of this.#pending) {
      pending.promise.then(
        (appended) => {
          if (appended.index <= anchor.index) this.#settle(pending)
        },
        () => {},
      )
    }
  }

  #settle(pending: PendingMarker): void {
    this.#pending = this.#pending.filter((one) => one !== pending)
  }

  sealed(anchor: Position): void {
    const key = positionKey(anchor)
    if (this.#capturedAtMs.has(key)) this.#sealedAtMs.set(key, this.#init.clock.now())
    if (this.#vain !== undefined && this.#vain.newest.index <= anchor.index) this.#vain = undefined
  }

  /** @param why it could not be cut, if that is the cause */
  released(anchor: Position, why?: string): void {
    const key = positionKey(anchor)
    this.#capturedAtMs.delete(key)
    this.#sealedAtMs.delete(key)
    this.#namedAtMs.delete(key)
    this.#retired.delete(key)
    if (why !== undefined) this.#cameToNothing(anchor, VAIN_PAUSE_MS_MAX, () => CutFailed.at(anchor, why))
  }

  /** Each marker costs every replica a capture: the next one waits, the longer the more were in vain. A seal ends that. */
  #cameToNothing(newest: Position, pauseMsMax: number, refusal: Vain['refusal']): void {
    if (this.#vain !== undefined && newest.index <= this.#vain.newest.index) return
    const count = (this.#vain?.count ?? 0) + 1
    const pauseMs = Math.min(VAIN_PAUSE_MS * 2 ** (count - 1), pauseMsMax)
    this.#vain = { newest, count, untilMs: this.#init.clock.now() + pauseMs, refusal }
  }

  #assertWorthwhile(): void {
    const nowMs = this.#init.clock.now()
    if (this.#vain !== undefined && nowMs < this.#vain.untilMs) {
      throw this.#vain.refusal(this.#vain.untilMs - nowMs)
    }
  }

  /** Each marker costs every replica a capture. This replica's own requests are not limited. */
  #countMarker(requester: string): void {
    const { self, clock, markersPerMinute } = this.#init
    if (requester === self) return
    const nowMs = clock.now()
    this.#appended = this.#appended.filter(({ atMs }) => nowMs - atMs < MINUTE_MS)
    const own = this.#appended.filter((one) => one.requester === requester)
    if (own.length >= markersPerMinute) {
      throw new Busy(`${own.length} markers for you within a minute`, own[0]!.atMs + MINUTE_MS - nowMs)
    }
    this.#appended.push({ requester, atMs: nowMs })
  }

  /** Sealed or young enough to be, nobody has given it up, and its place in the log is still there. */
  async #usable(anchor: Position): Promise<boolean> {
    const { host, clock, sealTimeoutMs } = this.#init
    const key = positionKey(anchor)
    if (this.#retired.has(key) || host.hasStalled?.(anchor) === true) return false
    const ageMs = clock.now() - (this.#capturedAtMs.get(key) ?? Number.NEGATIVE_INFINITY)
    const mayBeSealed = ageMs < sealTimeoutMs && host.mayBeSealed?.(anchor) !== false
    if (!this.#sealedAtMs.has(key) && !mayBeSealed) return false
    return await host.isReadable(anchor)
  }
}
