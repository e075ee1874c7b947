import type { Clock } from '../expiry/clock.ts'
import { LeaseTable } from '../expiry/lease-table.ts'
import { Busy } from './errors.ts'
import { BUSY_RETRY_MS, type ProviderLimits, QUEUE_WAIT_MS, SESSION_IDLE_MS } from './limits.ts'

/** What peers make a provider do at once, and no more than its limits. Beyond them: `Busy`. */
export class Quota {
  readonly #limits: ProviderLimits
  readonly #streams = new Counts()
  readonly #requests = new Counts()
  /** Peers that fetched not long ago. */
  readonly #sessions: LeaseTable<string>
  readonly #sending: Room

  constructor(limits: ProviderLimits, clock: Clock) {
    this.#limits = limits
    this.#sessions = new LeaseTable({ clock })
    this.#sending = new Room(limits.sendingBytes, clock)
  }

  /** A peer opened a stream. Returns what to call when it is over. */
  stream(peer: string): () => void {
    return this.#streams.enter(peer, this.#limits.streamsPerPeer, 'streams')
  }

  /** A peer's request is being answered. Returns what to call when that is done. */
  request(peer: string): () => void {
    return this.#requests.enter(peer, this.#limits.requestsPerPeer, 'requests')
  }

  /** A peer fetches. It keeps its place as long as it goes on to. */
  session(peer: string): void {
    this.#sessions.evictExpired()
    if (!this.#sessions.has(peer) && this.#sessions.size >= this.#limits.sessions) {
      throw new Busy(`${this.#sessions.size} peers fetch already`, BUSY_RETRY_MS)
    }
    this.#sessions.register(peer, SESSION_IDLE_MS)
  }

  /**
   * Resolves when so many bytes may be handed to a stream, in order of asking, with what to call when they are taken. Rejects
   * with `Busy` when there is no room for too long.
   */
  async send(bytes: number): Promise<() => void> {
    return await this.#sending.enter(bytes)
  }
}

/** How many of something each peer has. */
class Counts {
  readonly #counts = new Map<string, number>()

  enter(peer: string, max: number, what: string): () => void {
    const count = this.#counts.get(peer) ?? 0
    if (count >= max) throw new Busy(`you have ${count} ${what} open already`, BUSY_RETRY_MS)
    this.#counts.set(peer, count + 1)
    return () => {
      const left = this.#counts.get(peer)! - 1
      if (left === 0) this.#counts.delete(peer)
      else this.#counts.set(peer, left)
    }
  }
}

/** Room for so many bytes, given out first come, first served. What is larger than all of it goes alone. */
class Room {
  readonly #max: number
  readonly #clock: Clock
  readonly #waiting = new Set<{ readonly bytes: number; readonly admit: () => void }>()
  #used = 0

  constructor(max: number, clock: Clock) {
    this.#max = max
    this.#clock = clock
  }

  async enter(bytes: number): Promise<() => void> {
    if (this.#waiting.size === 0 && this.#fits(bytes)) this.#used += bytes
    else await this.#wait(bytes)
    return () => {
      this.#used -= bytes
      this.#admitNext()
    }
  }

  #wait(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const one = {
        bytes,
        admit: () => {
          timer.cancel()
          resolve()
        },
      }
      const timer = this.#clock.schedule(QUEUE_WAIT_MS, () => {
        this.#waiting.delete(one)
        reject(new Busy(`${this.#used} bytes are on their way already`, BUSY_RETRY_MS))
        this.#admitNext()
      })
      this.#waiting.add(one)
    })
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#max
  }

  #admitNext(): void {
    for (const one of this.#waiting) {
      if (!this.#fits(one.bytes)) return
      this.#waiting.delete(one)
      this.#used += one.bytes
      one.admit()
    }
  }
}
