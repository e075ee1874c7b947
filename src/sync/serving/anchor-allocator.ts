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
import { Busy, CutFailed, NotLeader, type WireError } from '../wire/errors.ts'

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

/** A row of markers that came to nothing: the newest, and how many. */
interface Vain {
  readonly newest: Position
  readonly count: number
  readonly untilMs: number
  /** The answer to requests until then. */
  readonly refusal: (retryMs: number) => WireError
}

const MINUTE_MS = 60_000
/**
 * The least life, in milliseconds, that is left of an offer that counts. A requester needs a few round trips
 * of 200 ms to come for it.
 */
const NAMED_LIFE_MS_MIN = 1_000
/**
 * A sealed anchor that nobody has pinned within this time, in milliseconds, may be retired: its requester is
 * not coming. A requester pins within a few round trips. More than 2 s would hold up a new joiner that needs
 * the place.
 */
const RETIRE_AFTER_MS = 1_200

/**
 * Finds the leader's answer to a snapshot request: the anchor of a live offer that fits, or else of one new
 * marker. Requests that arrive before that marker is applied share it.
 */
export class AnchorAllocator {
  readonly #init: AnchorAllocatorInit
  /** Markers that this replica has begun to append and has not applied yet, oldest first. */
  #pending: PendingMarker[] = []
  #appliedIndex = 0
  readonly #capturedAtMs = new Map<string, number>()
  readonly #sealedAtMs = new Map<string, number>()
  /** When each live offer was last named. */
  readonly #namedAtMs = new Map<string, number>()
  /** Anchors that markers of this replica retire. Such a marker may not be applied yet. */
  readonly #retired = new Set<string>()
  #vain: Vain | undefined
  /** The markers of the last minute, oldest first: for whom, and when. */
  #appended: { readonly requester: string; readonly atMs: number }[] = []

  constructor(init: AnchorAllocatorInit) {
    this.#init = init
  }

  /**
   * The anchor for a requester that needs one above a position. Rejects with `NotLeader`. Rejects with `Busy`
   * while the group has as many anchors in use as it may, and when the requester had its markers of this
   * minute.
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

  /**
   * Append a marker, so that the group captures. Nothing is awaited between the counting and the append:
   * requests that come at the same time see each other's markers.
   */
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
      // The marker may be applied before the log tells its place.
      (anchor) => anchor.index <= this.#appliedIndex && this.#settle(pending),
      () => {
        for (const anchor of retires) this.#retired.delete(positionKey(anchor))
        this.#settle(pending)
      },
    )
    return await promise
  }

  /**
   * Whether enough of the followers that have applied past the anchor still offer it, for long enough that a
   * requester finds them. The leader's own offer tells nothing: the leader cuts later than they do, so its
   * offer outlives theirs.
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

  /**
   * After how many milliseconds an anchor may be retired if nobody comes for it. Unsealed: the usual pause.
   */
  #idleInMs(anchor: Position): number {
    const key = positionKey(anchor)
    const sealedAtMs = this.#sealedAtMs.get(key)
    if (sealedAtMs === undefined) return BUSY_RETRY_MS
    const wantedAtMs = Math.max(sealedAtMs, this.#namedAtMs.get(key) ?? sealedAtMs)
    return Math.max(0, wantedAtMs + RETIRE_AFTER_MS - this.#init.clock.now())
  }

  /**
   * Nobody reads it, no member pins it and makes progress with it, and its requester has had time to come.
   */
  #isIdle({ anchor, uses }: Available): boolean {
    const { host } = this.#init
    const key = positionKey(anchor)
    if (uses > 0 || !this.#sealedAtMs.has(key) || this.#idleInMs(anchor) > 0) return false
    return host.hasStalled?.(anchor) === true || !host.members().some(({ needs }) => needs === anchor.index)
  }

  /** The pending markers that may still be applied and sealed in time. */
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

  /**
   * The group cannot agree on the anchor's root: the next request gets a new marker. Also for an anchor that
   * this replica never captured.
   */
  disputed(anchor: Position): void {
    this.#applied(anchor)
    const why = `the group does not agree on its state at ${formatPosition(anchor)}`
    // At most half the time that a session asks: it then meets the dispute itself, and learns who attested
    // what.
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

  /** The group agreed on the anchor's root. */
  sealed(anchor: Position): void {
    const key = positionKey(anchor)
    if (this.#capturedAtMs.has(key)) this.#sealedAtMs.set(key, this.#init.clock.now())
    if (this.#vain !== undefined && this.#vain.newest.index <= anchor.index) this.#vain = undefined
  }

  /**
   * The anchor is not offered any more.
   *
   * @param why it could not be cut, if that is the cause
   */
  released(anchor: Position, why?: string): void {
    const key = positionKey(anchor)
    this.#capturedAtMs.delete(key)
    this.#sealedAtMs.delete(key)
    this.#namedAtMs.delete(key)
    this.#retired.delete(key)
    if (why !== undefined) this.#cameToNothing(anchor, VAIN_PAUSE_MS_MAX, () => CutFailed.at(anchor, why))
  }

  /**
   * Each marker costs every replica a capture, so the next one waits. The pause doubles with each further
   * marker that comes to nothing. A seal ends it.
   */
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

  /**
   * Each marker costs every replica a capture: a requester gets so many a minute. This replica's own are not
   * limited.
   */
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

  /** It is sealed or may still be, nobody has given it up, and the log can be read from there. */
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
