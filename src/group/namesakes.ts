import type { Clock } from '../time/clock.ts'
import type { ReplicaState } from './announcement.ts'

/** How long a replica announces that another process used its identity, in milliseconds: long enough for somebody to look. */
const CONTESTED_MS = 60_000

/** What the presence store holds under this replica's name. */
export interface OwnNotice {
  /** Which process wrote it; empty from a version that does not tell. */
  readonly process: string
  readonly version: number
  readonly state: ReplicaState
  readonly isFresh: boolean
}

export interface NamesakesInit {
  /** This process, as it names itself in its announcements. */
  readonly process: string
  readonly clock: Clock
  /** How long two processes that began at the same time both go on, in milliseconds. */
  readonly leaseMs: number
  /** Another process uses this replica's identity: told once for each. */
  readonly onFound: () => void
  /** This process is to step back: it is the younger one. Told once. */
  readonly onYield: () => void
}

/**
 * Other processes with this replica's identity: copies of its data directory, or of its machine. All of them write the same
 * notice, so each sees the others' there. What an earlier life of this replica left on the board does not change any more. The
 * process that was there first goes on, the other steps back; where neither was first, it is left to chance.
 */
export class Namesakes {
  readonly #init: NamesakesInit
  /** What was on the board before this process announced itself. */
  #left: OwnNotice | undefined
  #hasAnnounced = false
  #rival: { readonly process: string; readonly sinceMs: number } | undefined
  #seenMs = Number.NEGATIVE_INFINITY
  #hasYielded = false

  constructor(init: NamesakesInit) {
    this.#init = init
  }

  /** This process is about to announce itself for the first time. */
  announcing(): void {
    this.#hasAnnounced = true
  }

  /** Whoever wrote what was on the board may still live: nothing says that it left. */
  get mayBeAnother(): boolean {
    return this.#left?.isFresh === true && this.#left.state !== 'stopped'
  }

  /** This process must write nothing to the board any more. */
  get hasYielded(): boolean {
    return this.#hasYielded
  }

  /** Another process used this identity a short while ago. */
  get isContested(): boolean {
    return this.#init.clock.now() - this.#seenMs < CONTESTED_MS
  }

  /** The board was read. */
  saw(notice: OwnNotice): void {
    const { process: self, clock, leaseMs, onFound } = this.#init
    const { process, version, state } = notice
    if (process === self || this.#hasYielded) return
    if (!this.#hasAnnounced) {
      this.#left = notice
      return
    }
    const isLeft = process === this.#left?.process && version === this.#left.version
    if (isLeft || process === '' || state === 'stopped') return
    const nowMs = clock.now()
    this.#seenMs = nowMs
    if (process === this.#left?.process) return this.#yield()
    if (process !== this.#rival?.process) {
      this.#rival = { process, sinceMs: nowMs }
      onFound()
    } else if (nowMs - this.#rival.sinceMs > leaseMs && self < process) this.#yield()
  }

  #yield(): void {
    this.#hasYielded = true
    this.#init.onYield()
  }
}
