import type { Clock } from '../time/clock.ts'
import type { Member } from './membership.ts'

/**
 * The slowest fetch of an anchor that counts as progress, over all who fetch it and all who send it, in bytes a second. A modem of
 * the nineties is slower; a link of 0.3 MB/s is ten times as fast. Below it a fetch would hold the log for longer than anybody
 * waits for it.
 */
export const PROGRESS_BYTES_PER_S_MIN = 32 * 1024
/** An anchor that makes no progress for so many TTLs is given up: sooner than three TTLs, later than an offer expires by itself. */
const STALLED_TTLS = 1.5
/** And not before so many announcements were due. */
const ANNOUNCEMENTS_MIN = 3
/** What members say that they received counts for so many TTLs, ten minutes: then only what was sent does. */
const CLAIMED_TTLS = 60
/** An anchor that nobody speaks of is remembered for so many times as long as it may stall. */
const REMEMBERED_TIMES = 4
/** And not sooner than this, in milliseconds: members announce what they served only a few times a second. */
const STALLED_MS_MIN = 2_000

export interface AnchorProgressInit {
  readonly clock: Clock
  /** How long an offer lives when nobody fetches, in milliseconds. */
  readonly ttlMs: number
  /** How long a group has to agree on an anchor's root, in milliseconds: until it has, nobody can finish with it. */
  readonly sealTimeoutMs: number
  /** How long announcements live, in milliseconds: members announce five times as often. */
  readonly leaseMs: number
  /** False while nobody can announce anything: silence says nothing then. */
  readonly connected: () => boolean
  /** The group has not agreed on this anchor's root yet, as far as this replica knows. */
  readonly isOpen: (anchor: number) => boolean
}

interface Anchor {
  readonly firstSeenMs: number
  /** When anybody last spoke of it. */
  seenAtMs: number
  /** Members whose pin has had its time to begin. */
  readonly begun: Set<string>
  /** Since when nothing happened that counts as progress. */
  sinceMs: number
  /** What was served and received since then. */
  bytes: number
  readonly served: Increments
  readonly received: Increments
}

/** What counters of several members have grown by. One that was started again counts from the beginning. */
class Increments {
  readonly #last = new Map<string, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  /** @param from what the counter of a member stood at that was not heard before */
  add(member: string, count: number, from: number): void {
    this.#total += Math.max(0, count - (this.#last.get(member) ?? from))
    this.#last.set(member, count)
  }
}

interface Replay {
  applied: number
  movedAtMs: number
}

/**
 * Whether the group makes progress with its anchors, as the announcements tell. A pin or an offer holds the log and an anchor only
 * while it does: a member that fetches in drops, or that says it needs an anchor and never fetches, is moved on.
 *
 * What is measured is the sum of what all providers of an anchor have sent, so that a slow link counts as a whole, however many
 * providers share it. Networks hold megabytes that were sent and did not arrive, and a joiner that has most of the state already
 * builds long and fetches little: what those who fetch say that they received and built in counts, too.
 */
export class AnchorProgress {
  readonly #init: AnchorProgressInit
  readonly #stalledMs: number
  readonly #anchors = new Map<number, Anchor>()
  /** Members that have installed what they pin, and apply the log after it. */
  readonly #replays = new Map<string, Replay>()

  constructor(init: AnchorProgressInit) {
    this.#init = init
    const { ttlMs, leaseMs } = init
    this.#stalledMs = Math.max(STALLED_TTLS * ttlMs, STALLED_MS_MIN, ANNOUNCEMENTS_MIN * (leaseMs / 5))
  }

  /** Take in what the members say now. */
  observe(members: readonly Member[]): void {
    const nowMs = this.#init.clock.now()
    const wanted = new Set<number>()
    for (const member of members) {
      for (const { anchor } of member.offers) wanted.add(anchor)
      if (member.needs > 0) wanted.add(member.needs)
      this.#follow(member, nowMs)
    }
    for (const [anchor, { seenAtMs }] of this.#anchors) {
      // Remembered for a while, so that pins that come and go are not new each time.
      if (!wanted.has(anchor) && nowMs - seenAtMs >= REMEMBERED_TIMES * this.#stalledMs)
        this.#anchors.delete(anchor)
    }
    const ids = new Set(members.map(({ id }) => id))
    for (const id of this.#replays.keys()) if (!ids.has(id)) this.#replays.delete(id)
    for (const anchor of wanted) this.#measure(anchor, members, nowMs)
  }

  /** The group has made no progress with this anchor for too long. */
  hasStalled(anchor: number): boolean {
    const known = this.#anchors.get(anchor)
    if (!this.#init.connected()) return false
    return known !== undefined && this.#init.clock.now() - known.sinceMs >= this.#stalledMs
  }

  /** Whether a member's pin holds the log: it makes progress with its anchor, or with the log after it. */
  holds({ id, needs, applied }: Member): boolean {
    if (needs === 0) return false
    if (applied < needs) return !this.hasStalled(needs)
    const replay = this.#replays.get(id)
    return replay === undefined || this.#init.clock.now() - replay.movedAtMs < this.#stalledMs
  }

  /** Everybody can announce again: what stood still meanwhile has its full time from now. */
  reconnected(): void {
    const nowMs = this.#init.clock.now()
    for (const anchor of this.#anchors.values()) anchor.sinceMs = nowMs
    for (const replay of this.#replays.values()) replay.movedAtMs = nowMs
  }

  #follow({ id, applied }: Member, nowMs: number): void {
    const replay = this.#replays.get(id)
    if (replay === undefined) this.#replays.set(id, { applied, movedAtMs: nowMs })
    else if (applied > replay.applied) Object.assign(replay, { applied, movedAtMs: nowMs })
  }

  #measure(index: number, members: readonly Member[], nowMs: number): void {
    const { sealTimeoutMs, ttlMs, isOpen } = this.#init
    let anchor = this.#anchors.get(index)
    if (anchor === undefined) {
      const counters = { served: new Increments(), received: new Increments() }
      anchor = {
        firstSeenMs: nowMs,
        seenAtMs: nowMs,
        begun: new Set(),
        sinceMs: nowMs,
        bytes: 0,
        ...counters,
      }
      this.#anchors.set(index, anchor)
    }
    let isCut = false
    let isOffered = false
    const { served, received, begun } = anchor
    anchor.seenAtMs = nowMs
    const before = served.total + received.total
    const isClaimed = nowMs - anchor.firstSeenMs < CLAIMED_TTLS * ttlMs
    for (const { id, offers, needs, receivedBytes = 0 } of members) {
      if (needs === index && isClaimed) received.add(id, receivedBytes, receivedBytes)
      if (needs === index && !begun.has(id)) {
        begun.add(id)
        anchor.sinceMs = nowMs
      }
      const offer = offers.find((one) => one.anchor === index)
      if (offer === undefined) continue
      isOffered = true
      isCut ||= offer.ready
      served.add(id, offer.servedBytes ?? 0, 0)
    }
    anchor.bytes += served.total + received.total - before
    const isYoung = nowMs - anchor.firstSeenMs < sealTimeoutMs
    const mustWait = isYoung && ((isOffered && !isCut) || isOpen(index))
    const enough = ((nowMs - anchor.sinceMs) / 1_000) * PROGRESS_BYTES_PER_S_MIN
    if (!mustWait && (anchor.bytes === 0 || anchor.bytes < enough)) return
    anchor.sinceMs = nowMs
    anchor.bytes = 0
  }
}
