/**
 * Counts what one peer has sent, over all its streams. While enough comes the peer is not silent: an answer
 * may wait behind the chunks that a slow link still carries.
 */
export class Pulse {
  #bytes = 0
  #atMs = Number.NEGATIVE_INFINITY

  /** Bytes of any kind that were received so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** When something was last received. */
  get atMs(): number {
    return this.#atMs
  }

  beat(bytes: number, nowMs: number): void {
    this.#bytes += bytes
    this.#atMs = nowMs
  }
}
