import { WINDOW_CHUNKS_MAX, WINDOW_CHUNKS_MIN } from '../../limits.ts'

/** Chunks in flight with one provider until it has shown what it can: one request of full size. */
export const WINDOW_CHUNKS = 4

/**
 * The least that a window holds beyond one round trip, as time: on a local network a round trip is shorter
 * than a pause of either process, and a provider must not run dry in it.
 */
export const WINDOW_QUEUE_MS = 50

/**
 * How much of the newest chunk goes into the average: the last few count, and one that was held up does not
 * decide.
 */
const WEIGHT = 0.25

/**
 * How many chunks to have in flight with one provider: twice as many as it sends in the time that a request
 * takes, the bandwidth-delay product, so that it never waits for a request. What it sends is measured. A
 * window that is too small doubles with each round. A slow provider gets little, so that nobody waits for it
 * at the end.
 */
export class Window {
  /** The least that a chunk took from its request to its arrival. */
  #latencyMs = Number.POSITIVE_INFINITY
  /** Between arrivals, on average; 0 as long as nothing is known. */
  #perChunkMs = 0
  #lastMs = Number.NEGATIVE_INFINITY

  /** A chunk came that was asked for at `askedMs`. */
  arrived(askedMs: number, nowMs: number): void {
    const perChunkMs = nowMs - Math.max(askedMs, this.#lastMs)
    this.#perChunkMs += (this.#perChunkMs === 0 ? 1 : WEIGHT) * (perChunkMs - this.#perChunkMs)
    this.#latencyMs = Math.min(this.#latencyMs, nowMs - askedMs)
    this.#lastMs = nowMs
  }

  /** When the newest chunk came; never, as a number: minus infinity. */
  get arrivedAtMs(): number {
    return this.#lastMs
  }

  get chunks(): number {
    if (this.#perChunkMs === 0) return WINDOW_CHUNKS
    const aheadMs = this.#latencyMs + Math.max(this.#latencyMs, WINDOW_QUEUE_MS)
    const chunks = Math.round(aheadMs / this.#perChunkMs)
    return Math.min(Math.max(chunks, WINDOW_CHUNKS_MIN), WINDOW_CHUNKS_MAX)
  }
}
