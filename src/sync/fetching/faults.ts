import type { Fault } from '../errors.ts'
import { ProvenFault } from '../wire/proven-fault.ts'
import { retryPolicy } from './retry-policy.ts'

/** Faults that a session remembers: enough for an error to say who did what, and few enough to be read. */
export const FAULTS_MAX = 16

/** What is kept of each message, in UTF-16 code units: a peer may say anything, at any length. */
export const FAULT_LENGTH_MAX = 200

/** Hears of each fault that is news. */
export type FaultListener = (peer: string, error: Error) => void

/** What the peers of one session did wrong, and which of them it asks no more. */
export class Faults {
  readonly #onFault: FaultListener
  readonly #list: Fault[] = []
  readonly #refusals = new Map<string, Error>()
  readonly #dropped = new Set<string>()

  constructor(onFault: FaultListener) {
    this.#onFault = onFault
  }

  /** The newest, oldest first. */
  get list(): readonly Fault[] {
    return [...this.#list]
  }

  /** There is proof against this peer: it is believed nothing for the rest of the session. */
  isDropped(peer: string): boolean {
    return this.#dropped.has(peer)
  }

  /** The peers that will not serve, and why. A peer that has served since is not among them. */
  get refusals(): ReadonlyMap<string, Error> {
    return new Map(this.#refusals)
  }

  /** A peer answered as one that serves. */
  served(peer: string): void {
    if (!this.isDropped(peer)) this.#refusals.delete(peer)
  }

  /**
   * A peer failed, or there is proof against it. False when that is known: it was dropped, or its latest
   * fault is the same.
   */
  add(peer: string, error: Error): boolean {
    if (this.isDropped(peer)) return false
    if (retryPolicy(error).refusal) this.#refusals.set(peer, error)
    if (error instanceof ProvenFault) this.#dropped.add(peer)
    else if (this.#list.findLast((fault) => fault.peer === peer)?.what === clip(error.message)) return false
    this.#list.push({ peer, what: clip(error.message) })
    if (this.#list.length > FAULTS_MAX) this.#list.shift()
    this.#onFault(peer, error)
    return true
  }
}

/** What a peer says may be long. */
export function clip(message: string): string {
  return message.length <= FAULT_LENGTH_MAX ? message : `${message.slice(0, FAULT_LENGTH_MAX - 1)}…`
}
