import type { Position } from '../../position.ts'
import { AnchorGone, Disputed } from '../errors.ts'
import { POLL_INTERVAL_MS } from './retry.ts'

/** Anchors that one session loses before it gives up: each costs every replica a capture. */
export const ANCHORS_LOST_MAX = 8

/** Nothing can come of this anchor any more: nobody offers it, or its electorate never agreed. */
export class Useless extends AnchorGone {}

/** The anchors that one session had chosen, and that were gone before they were installed. */
export class LostAnchors {
  readonly #lost = new Set<number>()
  /** Those that would only be named again: a newer one is asked for then. */
  readonly #useless = new Set<number>()
  #count = 0
  #dispute: { readonly error: Disputed; readonly sinceMs: number } | undefined

  /** How often an anchor was lost. One anchor can be lost twice. */
  get count(): number {
    return this.#count
  }

  /** The newest dispute that this session met, and when it met its first. */
  get dispute(): { readonly error: Disputed; readonly sinceMs: number } | undefined {
    return this.#dispute
  }

  /** The error is the host's, perhaps: it may be about another anchor than the one that was chosen. */
  add({ index }: Position, error: AnchorGone, nowMs: number): void {
    this.#count++
    this.#lost.add(index)
    if (error instanceof Useless || error instanceof Disputed) this.#useless.add(index)
    if (error instanceof Disputed) this.#dispute = { error, sinceMs: this.#dispute?.sinceMs ?? nowMs }
  }

  has({ index }: Position): boolean {
    return this.#lost.has(index)
  }

  /** The group never agreed on it, or nobody offers it. */
  isUseless({ index }: Position): boolean {
    return this.#useless.has(index)
  }

  /** How long to wait before another anchor is asked for, after this one was lost. */
  pauseMs(error: AnchorGone, requestTimeoutMs: number): number {
    // States that differ still will in a moment, and each anchor costs the group a capture.
    if (error instanceof Disputed) return requestTimeoutMs / ANCHORS_LOST_MAX
    return POLL_INTERVAL_MS * (2 ** (this.#count - 1) - 1)
  }
}
