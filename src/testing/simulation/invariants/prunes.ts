import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { PruneDecision, RecordedPresence, RecordedPresences, RecordedPrune } from '../log.ts'
import type { SimulatedNode, Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Scene } from '../scene.ts'

/** Leaders count these times by clocks of their own, which are off by 2 percent at most. */
const DRIFT = 0.97
/**
 * For this part of its time to live a presence is fresh to everybody. Wall clocks are half a second apart, so
 * that a reader may take one for older than it is when it sees it first.
 */
const FRESH = 0.6
/**
 * How long before its decision a leader read the presences, in milliseconds: one way of the log's service,
 * and back.
 */
const READ_MS = 1.5
/** It reads them right before it decides. This is more than any of its calls takes, in milliseconds. */
const READ_MS_MAX = 5

/** What keeps a leader from reading what others announce. */
const BLINDING: readonly Step['do'][] = ['pause', 'lose-presences', 'freeze-presences']

/** What has been announced of an anchor. */
interface Pinned {
  /** When it was named first. */
  readonly sinceMs: number
  /** When each member that needs it first said so. */
  readonly needing: Map<string, number>
}

/** What a process has read of the presences. */
interface Reader {
  newest: RecordedPresences
  /** For each anchor, when it first saw each member need it. */
  readonly needing: Map<number, Map<string, number>>
}

/** How far a member has applied, and since when. */
interface Replayed {
  readonly applied: number
  readonly atMs: number
}

/**
 * No leader prunes past an anchor that somebody pinned a short while ago, nor, in a durable group, past the
 * newest checkpoint. What the leader could not have read yet does not count.
 */
export class Prunes implements Invariant {
  readonly #scene: Scene
  readonly #pinned = new Map<number, Pinned>()
  readonly #replayed = new Map<string, Replayed>()
  /** By the names of the processes' lives. */
  readonly #readers = new Map<string, Reader>()
  /** Where nodes told that they have a checkpoint. */
  readonly #checkpoints = new Set<number>()
  #presences: RecordedPresences = new Map()
  #pruned = 0
  /** How long an anchor holds the log without progress. */
  readonly #holdMs: number
  /** A leader does what it does at once: it is never paused, and work takes no time. */
  readonly #isQuick: boolean
  /** A leader may not know what others announced. */
  readonly #isBlind: boolean
  readonly #isOther: boolean
  readonly #stampedAheadMs: number

  constructor(scene: Scene) {
    this.#scene = scene
    const { settings, steps } = scene.plan
    this.#holdMs = DRIFT * Math.max(1.5 * settings.ttlMs, 2_000, (3 / 5) * settings.leaseMs)
    this.#isQuick = settings.lookMs === 0 && !steps.some((step) => step.do === 'pause')
    this.#isBlind = steps.some((step) => BLINDING.includes(step.do))
    // Two logs have two histories, and a leader of one knows nothing of the other.
    this.#isOther = steps.some((step) => step.do === 'rewind' || step.do === 'recreate')
    this.#stampedAheadMs = this.#aheadMs
    scene.log.record.onPresencesRead((life, presences) => this.#read(life, presences))
  }

  told(_node: SimulatedNode, { type, detail }: Told): void {
    if (type === 'checkpoint' && (detail.type === 'written' || detail.type === 'loaded'))
      this.#checkpoints.add(detail.position.index)
  }

  stepped(): void {
    const { record } = this.#scene.log
    if (this.#isOther) return
    if (this.#presences !== record.presences) this.#follow(record.presences)
    for (; this.#pruned < record.prunes.length; this.#pruned++) this.#check(record.prunes[this.#pruned]!)
  }

  #follow(presences: RecordedPresences): void {
    for (const [member, presence] of presences)
      if (this.#presences.get(member) !== presence) this.#announced(member, presence)
    this.#presences = presences
  }

  #announced(member: string, { announcement, atMs }: RecordedPresence): void {
    const { offers, needs, applied } = announcement
    for (const { anchor } of offers) this.#pin(anchor, atMs)
    if (needs > 0) {
      const { needing } = this.#pin(needs, atMs)
      if (!needing.has(member)) needing.set(member, atMs)
    }
    const replayed = this.#replayed.get(member)
    if (replayed === undefined || applied > replayed.applied) this.#replayed.set(member, { applied, atMs })
  }

  #pin(anchor: number, atMs: number): Pinned {
    const known = this.#pinned.get(anchor)
    if (known !== undefined) return known
    const pinned = { sinceMs: atMs, needing: new Map<string, number>() }
    this.#pinned.set(anchor, pinned)
    return pinned
  }

  #read(life: string, presences: RecordedPresences): void {
    let reader = this.#readers.get(life)
    if (reader === undefined) {
      reader = { newest: new Map(), needing: new Map() }
      this.#readers.set(life, reader)
    }
    const { newest, needing } = reader
    for (const [member, presence] of presences) {
      if (newest.get(member) === presence) continue
      // Between two steps of the world a member may have said so, and left.
      this.#announced(member, presence)
      const { needs } = presence.announcement
      if (needs === 0) continue
      const seen = needing.get(needs) ?? new Map<string, number>()
      needing.set(needs, seen)
      if (!seen.has(member)) seen.set(member, this.#scene.world.nowMs)
    }
    reader.newest = presences
  }

  #check({ upTo, by, decided }: RecordedPrune): void {
    if (decided === undefined) return
    const { atMs, readAtMs, presences } = decided
    const { group } = this.#scene.history
    const author = this.#scene.nodeNamed(by)?.replica?.id
    const isAgreed = group.prunes.some((agreed) => agreed.author === author && agreed.upTo >= upTo)
    if (author !== undefined && !isAgreed)
      throw broken(`${by} prunes up to ${upTo}, which no entry of its own says`)
    if (this.#isQuick && atMs - readAtMs > READ_MS_MAX)
      throw broken(`${by} prunes up to ${upTo} by what it read ${atMs - readAtMs} ms before`)
    if (this.#scene.plan.settings.durable) this.#checkCheckpoint(upTo, by)
    // After a step of the log's clock, nobody can tell how old the presences are that it has.
    if (this.#aheadMs !== this.#stampedAheadMs) return
    // A leader that was paused, or could not read, knows nothing of pins that came and went meanwhile.
    if (this.#isBlind) return
    const knownMs = this.#isQuick ? atMs - READ_MS : readAtMs
    for (const [member, presence] of presences) {
      const isFresh = atMs - presence.atMs < presence.ttlMs * FRESH
      // Who is hostile holds nothing that nobody else holds.
      const isHonest = this.#scene.nodeNamed(presence.node) !== undefined
      if (presence.atMs <= knownMs && isFresh && isHonest)
        this.#checkMember(upTo, by, decided, member, presence)
    }
  }

  #checkCheckpoint(upTo: number, by: string): void {
    const { anchors } = this.#scene.history.group
    const sealed = [...this.#checkpoints].filter((index) => anchors.get(index)?.seal !== undefined)
    const newest = Math.max(0, ...sealed)
    if (upTo > newest) throw broken(`${by} prunes up to ${upTo}, and the newest checkpoint is of ${newest}`)
  }

  #checkMember(
    upTo: number,
    by: string,
    { atMs, life }: PruneDecision,
    member: string,
    { node, announcement }: RecordedPresence,
  ): void {
    const { offers, needs, applied } = announcement
    for (const { anchor } of offers)
      if (this.#holds(anchor, atMs, life) && upTo >= anchor)
        throw broken(`${by} prunes up to ${upTo}, and ${node} offers ${anchor}`)
    if (needs === 0) return
    if (applied < needs) {
      if (this.#holds(needs, atMs, life) && upTo >= needs)
        throw broken(`${by} prunes up to ${upTo}, and ${node} catches up from ${needs}`)
      return
    }
    const movedAtMs = this.#replayed.get(member)?.atMs ?? Number.NEGATIVE_INFINITY
    if (atMs - movedAtMs < this.#holdMs && upTo > applied)
      throw broken(`${by} prunes up to ${upTo}, and ${node} has caught up from ${needs} to ${applied} only`)
  }

  /** The first pin of each member gives an anchor its full time anew, for a process that has seen it by then. */
  #holds(anchor: number, atMs: number, life: string): boolean {
    const pinned = this.#pinned.get(anchor)
    if (pinned === undefined) return false
    let { sinceMs } = pinned
    for (const [member, seenMs] of this.#readers.get(life)?.needing.get(anchor) ?? [])
      if (seenMs <= atMs) sinceMs = Math.max(sinceMs, pinned.needing.get(member) ?? sinceMs)
    return atMs - sinceMs < this.#holdMs
  }

  get #aheadMs(): number {
    const { log, world } = this.#scene
    return Math.round(log.wallMs() - world.nowMs)
  }
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('never prune the only copy', message)
}
