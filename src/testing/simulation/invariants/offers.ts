import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { SimulatedNode, Told } from '../node.ts'
import type { Scene } from '../scene.ts'

/** How often the offers of all are looked at, in milliseconds of virtual time. */
const LOOK_MS = 250
/** How far a process's clock may go apart from the world's: plans draw 2 percent at most. */
const DRIFT = 0.03
/** Deadlines are whole milliseconds, rounded up. */
const ROUNDING_MS = 1
/** How long after its deadline an offer may be seen, in milliseconds: a sweep rests for 10. */
const LATE_MS = 100

/** An offer of one process, as its events tell. */
interface Offered {
  /** No sooner may it expire. */
  untilMs: number
  /** Its anchor was marked when nobody did anything any more. */
  readonly isLate: boolean
}

/** When an offer of a node ends at the latest. */
interface End {
  /** When the node began to offer it. */
  readonly sinceMs: number
  endsMs: number
}

/**
 * An offer lives for a TTL after it was cut, fetched from, or revived. It expires neither sooner nor, once
 * nobody fetches any more, later. A restart does not make it live longer.
 */
export class Offers implements Invariant {
  readonly #scene: Scene
  readonly #ttlMs: number
  /** A checkpoint that is written uses its offer, and on a slow disk that takes seconds. */
  readonly #mayWrite: boolean
  /** By the names of the processes, and their anchors. */
  readonly #offered = new Map<string, Map<number, Offered>>()
  /** By the node's name and the anchor. An end outlives the node's processes. */
  readonly #ends = new Map<string, End>()
  #lookedMs = 0
  #settledMs = Number.POSITIVE_INFINITY

  constructor(scene: Scene) {
    this.#scene = scene
    const { ttlMs, durable, diskMs } = scene.plan.settings
    this.#ttlMs = ttlMs
    this.#mayWrite = durable && diskMs > 0
  }

  told(node: SimulatedNode, { type, detail }: Told): void {
    // To write a checkpoint is to use the offer, and after a use it has its full time.
    if (type === 'checkpoint' && detail.type === 'written') {
      const { index } = detail.position
      if (this.#offersOf(node).has(index)) this.#lives(node, index, this.#scene.world.nowMs + this.#ttlMs)
    }
    if (type !== 'sync' || !('anchor' in detail)) return
    const { index } = detail.anchor
    const { nowMs } = this.#scene.world
    switch (detail.type) {
      case 'captured':
      case 'cut':
      case 'served':
        return this.#lives(node, index, nowMs + this.#ttlMs)
      case 'revived':
        this.#checkRevived(node, index, detail.remainingMs)
        return this.#lives(node, index, nowMs + this.#ttlMs)
      case 'adopted':
        this.#checkAdopted(node, index, detail.remainingMs)
        return this.#lives(node, index, nowMs + detail.remainingMs)
      case 'released': {
        const offer = this.#offersOf(node).get(index)
        this.#offersOf(node).delete(index)
        if (detail.cause !== 'expired' || detail.why !== undefined || offer === undefined) return
        const earlyMs = offer.untilMs - nowMs
        if (earlyMs > DRIFT * this.#ttlMs + ROUNDING_MS)
          throw broken(`${node.name} lets its offer of ${index} expire ${earlyMs} ms too early`)
      }
    }
  }

  stepped(): void {
    if (this.#scene.world.nowMs - this.#lookedMs < LOOK_MS) return
    this.#look()
  }

  settled(): void {
    this.#settledMs = this.#scene.world.nowMs
  }

  idle(): void {
    if (this.#mayWrite) return
    this.#look()
    const { nowMs } = this.#scene.world
    for (const { name, running, replica } of this.#scene.nodes) {
      if (running === undefined || running.isStopping || replica === undefined) continue
      for (const { anchor } of replica.offers) {
        const offer = this.#offered.get(running.life.name)?.get(anchor.index)
        if (offer === undefined || nowMs > offer.untilMs + DRIFT * this.#ttlMs + LATE_MS)
          throw broken(`${name} still offers ${anchor.index}, though nobody fetches from it`)
      }
    }
  }

  #look(): void {
    const { nowMs } = this.#scene.world
    this.#lookedMs = nowMs
    for (const node of this.#scene.nodes) {
      const { running, replica, name } = node
      if (running === undefined || replica === undefined || running.isStopped) continue
      for (const { anchor, remainingMs } of replica.offers) {
        if (remainingMs > this.#ttlMs + ROUNDING_MS)
          throw broken(`${name} offers ${anchor.index} for ${remainingMs} ms, and its TTL is ${this.#ttlMs}`)
        // An answer that a peer did not take is a use as well, of which nothing is told: a full TTL begins.
        const endsMs = nowMs + this.#ttlMs + LOOK_MS
        this.#endsAt(name, anchor.index, endsMs)
      }
    }
  }

  #checkRevived(node: SimulatedNode, index: number, remainingMs: number): void {
    const { name } = node
    if (remainingMs > this.#ttlMs + ROUNDING_MS)
      throw broken(`${name} revives ${index} for ${remainingMs} ms, and its TTL is ${this.#ttlMs}`)
    const offer = this.#offersOf(node).get(index)
    const isIdle = !this.#mayWrite && this.#scene.world.nowMs > this.#settledMs + this.#ttlMs / 2
    if (isIdle && offer?.isLate === false && node.running?.isStopping === false)
      throw broken(`${name} revives ${index}, and nobody is there who needs it`)
  }

  #checkAdopted(node: SimulatedNode, index: number, remainingMs: number): void {
    const { name } = node
    const { plan, world } = this.#scene
    if (remainingMs > this.#ttlMs + ROUNDING_MS)
      throw broken(`${name} offers ${index} again for ${remainingMs} ms, and its TTL is ${this.#ttlMs}`)
    // A directory of another time, or of another node, knows other offers.
    const isOther = plan.steps.some((step) => step.do === 'copy-disk' || step.do === 'old-backup')
    const end = this.#ends.get(`${name}/${index}`)
    if (isOther || end === undefined) return
    // A deadline on disk is one of the wall clock. If that was set since, and even set back, it says little.
    if (node.wallSetAtMs >= end.sinceMs) return
    const leftMs = end.endsMs - world.nowMs
    if (remainingMs > leftMs + DRIFT * this.#ttlMs + LOOK_MS)
      throw broken(`${name} offers ${index} again for ${remainingMs} ms, of which ${leftMs} were left`)
  }

  #lives(node: SimulatedNode, index: number, untilMs: number): void {
    const offers = this.#offersOf(node)
    const offer = offers.get(index)
    if (offer === undefined) offers.set(index, { untilMs, isLate: this.#scene.world.nowMs > this.#settledMs })
    else offer.untilMs = Math.max(offer.untilMs, untilMs)
    this.#endsAt(node.name, index, untilMs)
  }

  #endsAt(name: string, index: number, endsMs: number): void {
    const key = `${name}/${index}`
    const end = this.#ends.get(key)
    if (end === undefined) this.#ends.set(key, { sinceMs: this.#scene.world.nowMs, endsMs })
    else end.endsMs = Math.max(end.endsMs, endsMs)
  }

  #offersOf({ running, name }: SimulatedNode): Map<number, Offered> {
    const life = running?.life.name ?? name
    let offers = this.#offered.get(life)
    if (offers === undefined) {
      offers = new Map()
      this.#offered.set(life, offers)
    }
    return offers
  }
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('alive as long as needed', message)
}
