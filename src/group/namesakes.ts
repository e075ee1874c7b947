import type { Clock } from '../time/clock.ts'
import type { ReplicaState } from './announcement.ts'

/**
 * How long a replica announces that another process used its identity, in milliseconds: long enough for an
 * operator to look.
 */
const CONTESTED_MS = 60_000

/** The presence that the presence store holds under this replica's id. */
export interface OwnPresence {
  /**
   * The name of the process that wrote it. Empty if that process runs a version that does not write names.
   */
  readonly process: string
  readonly version: number
  readonly state: ReplicaState
  readonly isFresh: boolean
}

export interface NamesakesInit {
  /** The name of this process in its announcements. */
  readonly process: string
  readonly clock: Clock
  /**
   * How long two processes that began at the same time both go on, in milliseconds. Then one of them steps
   * back.
   */
  readonly leaseMs: number
}

/** What the presence of another process means. Each is reported once per process. */
export type NamesakeChange =
  /** Another process uses this replica's identity. */
  | 'found'
  /**
   * Another process uses this identity, and this process must step back: it came later, or lost by its name.
   */
  | 'yield'

/**
 * Finds other processes with this replica's identity: copies of its data directory, or of its machine. All of
 * them write the same presence, so each sees those of the others. A presence that an earlier life of this
 * replica left behind does not change any more, which tells it apart. The process that came later steps back.
 * If neither was there before the other, the one with the smaller random name does.
 */
export class Namesakes {
  readonly #init: NamesakesInit
  /** The presence before this process announced itself. */
  #left: OwnPresence | undefined
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

  /**
   * The process that wrote the earlier presence may still run: that presence is fresh, and does not say that
   * the process stopped.
   */
  get mayBeAnother(): boolean {
    return this.#left?.isFresh === true && this.#left.state !== 'stopped'
  }

  /** This process must write nothing to the presence store any more. */
  get hasYielded(): boolean {
    return this.#hasYielded
  }

  /** Another process used this identity a short while ago. */
  get isContested(): boolean {
    return this.#init.clock.now() - this.#seenMs < CONTESTED_MS
  }

  /** The presence store was read. Returns undefined if that says nothing new. */
  saw(notice: OwnPresence): NamesakeChange | undefined {
    const { process: self, clock, leaseMs } = this.#init
    const { process, version, state } = notice
    if (process === self || this.#hasYielded) return undefined
    if (!this.#hasAnnounced) {
      this.#left = notice
      return undefined
    }
    const isLeft = process === this.#left?.process && version === this.#left.version
    if (isLeft || process === '' || state === 'stopped') return undefined
    const nowMs = clock.now()
    this.#seenMs = nowMs
    if (process === this.#left?.process) return this.#yield()
    if (process !== this.#rival?.process) {
      this.#rival = { process, sinceMs: nowMs }
      return 'found'
    }
    return nowMs - this.#rival.sinceMs > leaseMs && self < process ? this.#yield() : undefined
  }

  #yield(): NamesakeChange {
    this.#hasYielded = true
    return 'yield'
  }
}
