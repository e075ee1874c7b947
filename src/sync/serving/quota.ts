import { LeaseTable } from '../../leases/lease-table.ts'
import type { Clock } from '../../time/clock.ts'
import { BUSY_RETRY_MS, type ProviderLimits, SESSION_IDLE_MS } from '../limits.ts'
import { Busy } from '../wire/errors.ts'

/**
 * Counts what peers make a provider do at once, within its limits. What is beyond them is answered with
 * `Busy`.
 */
export class Quota {
  readonly #limits: ProviderLimits
  readonly #streams = new Counts()
  readonly #requests = new Counts()
  /** Peers that fetched within the last five seconds. */
  readonly #sessions: LeaseTable<string>
  readonly #sending: FairByteLimiter

  /** @param waitMs how long a chunk waits for room among those that are being sent */
  constructor(limits: ProviderLimits, clock: Clock, waitMs: number) {
    this.#limits = limits
    this.#sessions = new LeaseTable({ clock })
    this.#sending = new FairByteLimiter(limits.sendingBytes, clock, waitMs)
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
   * Resolves when so many bytes may be handed to a stream, in the order of asking. The result is to be called
   * when the stream has taken them. Rejects with `Busy` when there is no room in time.
   */
  async send(peer: string, bytes: number): Promise<() => void> {
    return await this.#sending.enter(peer, bytes)
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

interface Waiting {
  readonly peer: string
  readonly bytes: number
  readonly admit: () => void
}

/**
 * Room for so many bytes, given out first come, first served. One peer gets a quarter of it at most: a few
 * peers that stop reading do not keep the others waiting. Of one peer, a piece larger than a quarter goes
 * alone.
 */
class FairByteLimiter {
  readonly #max: number
  readonly #clock: Clock
  readonly #waitMs: number
  readonly #waiting = new Set<Waiting>()
  readonly #usedBy = new Map<string, number>()
  #used = 0

  constructor(max: number, clock: Clock, waitMs: number) {
    this.#max = max
    this.#clock = clock
    this.#waitMs = waitMs
  }

  async enter(peer: string, bytes: number): Promise<() => void> {
    if (this.#fits(peer, bytes) && !this.#isCrowded()) this.#use(peer, bytes)
    else await this.#wait(peer, bytes)
    return () => {
      this.#use(peer, -bytes)
      this.#admitNext()
    }
  }

  #wait(peer: string, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const one = {
        peer,
        bytes,
        admit: () => {
          timer.cancel()
          resolve()
        },
      }
      const timer = this.#clock.schedule(this.#waitMs, () => {
        this.#waiting.delete(one)
        reject(new Busy(`${this.#used} bytes are on their way already`, BUSY_RETRY_MS))
        this.#admitNext()
      })
      this.#waiting.add(one)
    })
  }

  /** Somebody waits for room that others use, and not just for the end of its own. */
  #isCrowded(): boolean {
    return this.#waiting.values().some(({ peer, bytes }) => this.#isFair(peer, bytes))
  }

  #fits(peer: string, bytes: number): boolean {
    return this.#isFair(peer, bytes) && (this.#used === 0 || this.#used + bytes <= this.#max)
  }

  #isFair(peer: string, bytes: number): boolean {
    const used = this.#usedBy.get(peer) ?? 0
    return used === 0 || used + bytes <= this.#max / 4
  }

  #use(peer: string, bytes: number): void {
    this.#used += bytes
    const used = (this.#usedBy.get(peer) ?? 0) + bytes
    if (used === 0) this.#usedBy.delete(peer)
    else this.#usedBy.set(peer, used)
  }

  #admitNext(): void {
    for (const one of this.#waiting) {
      if (!this.#isFair(one.peer, one.bytes)) continue
      if (!this.#fits(one.peer, one.bytes)) return
      this.#waiting.delete(one)
      this.#use(one.peer, one.bytes)
      one.admit()
    }
  }
}
