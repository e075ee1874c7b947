import { isConnected, type LogConnection } from '../log/log.ts'
import type { Clock } from '../time/clock.ts'
import type { Member } from './membership.ts'
import type { Seal } from './seal.ts'

/**
 * The slowest fetch of an anchor that counts as progress, in bytes a second: the sum over all joiners and all
 * providers. A modem of the nineties is slower; a link of 0.3 MB/s is ten times as fast. A slower fetch would
 * hold the log for longer than an operator waits for it.
 */
export const PROGRESS_BYTES_PER_S_MIN = 32 * 1024
/**
 * An anchor without progress is given up after this many TTLs: later than an offer expires by itself (1), and
 * sooner than 3.
 */
const STALLED_TTLS = 1.5
/** An anchor is not given up before each member should have announced itself this many times. */
const ANNOUNCEMENTS_MIN = 3
/**
 * What joiners say that they received counts for this many TTLs (10 minutes at the default TTL). After that,
 * only what providers sent counts.
 */
const CLAIMED_TTLS = 60
/**
 * An anchor that no member names any more is remembered for this many times the time after which it stalls.
 */
const REMEMBERED_TIMES = 4
/**
 * An anchor is not given up sooner than this, in milliseconds: members announce what they served only a few
 * times a second.
 */
const STALLED_MS_MIN = 2_000

export interface AnchorProgressInit {
  readonly clock: Clock
  /** How long an offer lives without a fetch, in milliseconds. */
  readonly ttlMs: number
  /**
   * How long a group has to agree on an anchor's root, in milliseconds. Until it has agreed, no joiner can
   * install.
   */
  readonly sealTimeoutMs: number
  /** How long announcements live, in milliseconds. Members announce five times as often. */
  readonly leaseMs: number
  /**
   * While the log's servers cannot be reached, no member can announce anything. Silence then says nothing
   * about progress.
   */
  readonly log: { readonly connection?: Pick<LogConnection, 'connected'> }
  /** Whether the group has agreed on an anchor's root yet, as far as this replica knows. */
  readonly group: { seal(anchor: number): Pick<Seal, 'state'> | undefined }
}

interface Anchor {
  readonly firstSeenMs: number
  /** When a member last named it. */
  seenAtMs: number
  /** Members that have pinned it so far. The first pin of each gives the anchor its full time anew. */
  readonly begun: Set<string>
  /** The time of the last progress. */
  sinceMs: number
  /** Bytes served and received since then. */
  bytes: number
  readonly served: Increments
  readonly received: Increments
}

/**
 * The sum by which the counters of several members have grown. A counter that is lower than before was
 * restarted: it adds nothing then, and counts from there.
 */
class Increments {
  readonly #last = new Map<string, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  /** @param from what to subtract from a member's first count */
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
 * Whether the group makes progress with its anchors, judged by the announcements. A pin or an offer holds the
 * log and an anchor only while there is progress. So a member that fetches a few bytes now and then, or that
 * names an anchor and never fetches, loses its hold and needs a newer anchor.
 *
 * The measure is the sum over all providers of an anchor: a slow link counts as a whole, however many
 * providers share it. What joiners say that they received and built in counts too, for two reasons. Networks
 * hold megabytes that were sent and have not arrived. And a joiner that has most of the state already builds
 * for long and fetches little.
 */
export class AnchorProgress {
  readonly #init: AnchorProgressInit
  readonly #stalledMs: number
  readonly #anchors = new Map<number, Anchor>()
  /**
   * Every member's position in the log, and when it last moved on. It tells whether a member that has
   * installed its anchor makes progress with the log.
   */
  readonly #replays = new Map<string, Replay>()

  constructor(init: AnchorProgressInit) {
    this.#init = init
    const { ttlMs, leaseMs } = init
    this.#stalledMs = Math.max(STALLED_TTLS * ttlMs, STALLED_MS_MIN, ANNOUNCEMENTS_MIN * (leaseMs / 5))
  }

  /** Take in what the members announce now. */
  observe(members: readonly Member[]): void {
    const nowMs = this.#init.clock.now()
    const wanted = new Set<number>()
    for (const member of members) {
      for (const { anchor } of member.offers) wanted.add(anchor)
      if (member.needs > 0) wanted.add(member.needs)
      this.#follow(member, nowMs)
    }
    for (const [anchor, { seenAtMs }] of this.#anchors) {
      // Anchors are remembered for a while. Otherwise a pin that comes and goes would be new each time.
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
    if (!isConnected(this.#init.log)) return false
    return known !== undefined && this.#init.clock.now() - known.sinceMs >= this.#stalledMs
  }

  /**
   * Whether a member's pin holds the log: the group makes progress with its anchor or, once it is installed,
   * the member makes progress with the log.
   */
  holds({ id, needs, applied }: Member): boolean {
    if (needs === 0) return false
    if (applied < needs) return !this.hasStalled(needs)
    const replay = this.#replays.get(id)
    return replay === undefined || this.#init.clock.now() - replay.movedAtMs < this.#stalledMs
  }

  /** Members can announce again. Every anchor and every member has its full time from now. */
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
    const { sealTimeoutMs, ttlMs, group } = this.#init
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
    const mustWait = isYoung && ((isOffered && !isCut) || group.seal(index)?.state === 'open')
    const enough = ((nowMs - anchor.sinceMs) / 1_000) * PROGRESS_BYTES_PER_S_MIN
    if (!mustWait && (anchor.bytes === 0 || anchor.bytes < enough)) return
    anchor.sinceMs = nowMs
    anchor.bytes = 0
  }
}
