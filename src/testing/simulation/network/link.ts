import type { Chance } from '../chance.ts'
import type { World } from '../world.ts'
import type { Port } from './port.ts'

export interface LinkInit {
  readonly world: World
  readonly chance: Chance
  readonly from: Port
  readonly to: Port
}

interface Parcel {
  readonly bytes: number
  /** How long before the last of them the first was sent. */
  readonly sendingMs: number
  readonly deliver: () => void
}

/** What was sent at one time and arrives at one time. */
interface Batch {
  readonly sentMs: number
  readonly arrivesMs: number
  readonly parcels: Parcel[]
}

/**
 * A large message travels in pieces that take this long, in milliseconds, so that small messages of other
 * streams get in between, and its receiver hears of it meanwhile.
 */
const PIECE_MS = 100
/** The least bytes of a piece: about a packet of TCP. */
const PIECE_BYTES_MIN = 1_024

/** Sums of times are off by less than this. */
const ROUNDING_MS = 1e-6

/** The way from one node to another. What is sent first arrives first, whatever stream it is of. */
export class Link {
  readonly #world: World
  readonly #chance: Chance
  readonly #from: Port
  readonly #to: Port
  readonly #flying: Batch[] = []
  /** What the node at the other end is receiving, as fast as it can. */
  readonly #receiving: Batch[] = []
  #receivedMs = 0
  /** What has come as far as a cut. */
  #held: Batch[] = []
  #isBlocked = false
  #arrivesMs = 0
  #deliveredBytes = 0

  constructor({ world, chance, from, to }: LinkInit) {
    this.#world = world
    this.#chance = chance
    this.#from = from
    this.#to = to
  }

  get name(): string {
    return `${this.from}>${this.to}`
  }

  get from(): string {
    return this.#from.node
  }

  get to(): string {
    return this.#to.node
  }

  get deliveredBytes(): number {
    return this.#deliveredBytes
  }

  /** At most so many bytes are sent at once. */
  get pieceBytes(): number {
    const bytesPerMs = Math.min(this.#from.quality.bytesPerSecond, this.#to.quality.bytesPerSecond) / 1_000
    return Math.max(PIECE_BYTES_MIN, Math.floor(bytesPerMs * PIECE_MS))
  }

  /**
   * Have something arrive. What has no bytes takes none of the bandwidth, and still comes after what was sent
   * before it. Returns when it has left the sender.
   *
   * @param atMs when the sender sends it: one that is at work is ahead of the world
   */
  carry(bytes: number, deliver: () => void, atMs = this.#world.nowMs): number {
    const { firstMs, lastMs } = this.#from.send(bytes, atMs)
    const parcel = { bytes, sendingMs: lastMs - firstMs, deliver }
    const newest = this.#flying.at(-1)
    const arrivesMs =
      newest?.sentMs === lastMs ? newest.arrivesMs : Math.max(lastMs + this.#latencyMs(), this.#arrivesMs)
    // It would be read together with what arrives at the same time.
    if (newest?.arrivesMs === arrivesMs) newest.parcels.push(parcel)
    else this.#fly({ sentMs: lastMs, arrivesMs, parcels: [parcel] })
    return lastMs
  }

  /** From now on nothing arrives: it waits, as TCP would send it again and again. */
  block(): void {
    this.#isBlocked = true
  }

  /** What waits arrives after the latency, and then what was sent after it. */
  unblock(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    if (this.#held.length === 0) return
    const latencyMs = this.#latencyMs()
    this.#arrivesMs = Math.max(this.#arrivesMs, this.#world.nowMs + latencyMs)
    this.#world.schedule(latencyMs, () => this.#release())
  }

  #fly(batch: Batch): void {
    this.#arrivesMs = batch.arrivesMs
    this.#flying.push(batch)
    this.#world.schedule(batch.arrivesMs - this.#world.nowMs, () => this.#land())
  }

  /** The oldest arrives, whichever event this is: times are rounded, and the order is to be kept. */
  #land(): void {
    const batch = this.#flying.shift()!
    if (this.#isBlocked || this.#held.length > 0) this.#held.push(batch)
    else this.#receive(batch)
  }

  #release(): void {
    if (this.#isBlocked) return
    const held = this.#held
    this.#held = []
    for (const batch of held) this.#receive(batch)
  }

  /** The node takes it when it has all of it, which takes longer if others send to it, too. */
  #receive(batch: Batch): void {
    const { nowMs } = this.#world
    for (const { bytes, sendingMs } of batch.parcels)
      this.#receivedMs = Math.max(this.#receivedMs, this.#to.receive(bytes, nowMs - sendingMs))
    if (this.#receiving.length === 0 && this.#receivedMs <= nowMs + ROUNDING_MS) return this.#deliver(batch)
    this.#receiving.push(batch)
    this.#world.schedule(this.#receivedMs - nowMs, () => this.#deliver(this.#receiving.shift()!))
  }

  #deliver({ parcels }: Batch): void {
    for (const { bytes, deliver } of parcels) {
      this.#deliveredBytes += bytes
      deliver()
    }
  }

  #latencyMs(): number {
    const { quality: one } = this.#from
    const { quality: other } = this.#to
    const jitterMs = Math.max(one.jitterMs, other.jitterMs)
    const latencyMs = Math.max(one.latencyMs, other.latencyMs)
    return jitterMs === 0 ? latencyMs : latencyMs + this.#chance.next() * jitterMs
  }
}
