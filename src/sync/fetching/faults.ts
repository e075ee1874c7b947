import type { Fault } from '../errors.ts'
import { FAULT_LENGTH_MAX, FAULTS_MAX } from '../limits.ts'
import { CutFailed, Incompatible } from '../wire/errors.ts'
import { ProvenFault } from '../wire/proven-fault.ts'

/** What the peers of one session did wrong, and whom it asks no more. */
export class Faults {
  readonly #list: Fault[] = []
  readonly #refusals = new Map<string, Error>()
  readonly #dropped = new Set<string>()

  /** The newest, oldest first. */
  get list(): readonly Fault[] {
    return [...this.#list]
  }

  /** There is proof against this peer: it is believed nothing for the rest of the session. */
  isDropped(peer: string): boolean {
    return this.#dropped.has(peer)
  }

  /** Who will not serve, and why, as far as they have not served since. */
  get refusals(): ReadonlyMap<string, Error> {
    return new Map(this.#refusals)
  }

  /** A peer answered as one that serves. */
  served(peer: string): void {
    if (!this.isDropped(peer)) this.#refusals.delete(peer)
  }

  /** False when that is known: the peer was dropped, or its latest fault is the same. */
  add(peer: string, error: Error): boolean {
    if (this.isDropped(peer)) return false
    if (isRefusal(error)) this.#refusals.set(peer, error)
    if (error instanceof ProvenFault) this.#dropped.add(peer)
    else if (this.#list.findLast((fault) => fault.peer === peer)?.what === clip(error.message)) return false
    this.#list.push({ peer, what: clip(error.message) })
    if (this.#list.length > FAULTS_MAX) this.#list.shift()
    return true
  }
}

/**
 * Asking again, for this anchor or another, is of no use. Unauthorized is no such word: a provider that is late with the presence store
 * does not know yet who is a member.
 */
function isRefusal(error: Error): boolean {
  return [ProvenFault, CutFailed, Incompatible].some((kind) => error instanceof kind)
}

/** What a peer says may be long. */
export function clip(message: string): string {
  return message.length <= FAULT_LENGTH_MAX ? message : `${message.slice(0, FAULT_LENGTH_MAX - 1)}…`
}
