import type { Clock } from '../time/clock.ts'

/** Divergences of this replica within this time after which its state is not replaced once more. */
const DIVERGENCES_MAX = 3
const DIVERGENCE_WINDOW_MS = 10 * 60_000
/** Anchors that are remembered. */
const ANCHORS_MAX = 64

/**
 * Remembers where and when this replica itself diverged. It learns that in two ways, by its own root and by the
 * attestation that it appended, and tells it once.
 */
export class Divergences {
  readonly #clock: Clock
  readonly #told = new Set<number>()
  #atMs: number[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether this anchor was not told of yet. */
  tell(anchor: number): boolean {
    if (this.#told.has(anchor)) return false
    this.#told.add(anchor)
    if (this.#told.size > ANCHORS_MAX) this.#told.delete(this.#told.values().next().value!)
    return true
  }

  /** The state was found to be wrong. Returns whether that was once too often. */
  count(): boolean {
    const nowMs = this.#clock.now()
    this.#atMs = [...this.#atMs.filter((atMs) => atMs > nowMs - DIVERGENCE_WINDOW_MS), nowMs]
    return this.#atMs.length >= DIVERGENCES_MAX
  }
}
