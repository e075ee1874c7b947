/** How bytes travel. Of the two ends of a link, the worse one counts. */
export interface LinkQuality {
  /** From one end to the other, in milliseconds. Default 0.5: as in one data centre. */
  readonly latencyMs: number
  /** Added to the latency by chance, from 0 up to this. Default 0. */
  readonly jitterMs: number
  /** What a node can send, and what it can receive, beside that. Default: no limit. */
  readonly bytesPerSecond: number
}

/** Where a node meets the network. All its streams share its bandwidth, one for each direction. */
export class Port {
  readonly node: string
  quality: LinkQuality
  #outUntilMs = 0
  #inUntilMs = 0

  constructor(node: string, quality: LinkQuality) {
    this.node = node
    this.quality = quality
  }

  /** Bytes are sent. Returns when the first and when the last of them leaves. */
  send(bytes: number, atMs: number): { readonly firstMs: number; readonly lastMs: number } {
    const firstMs = bytes === 0 ? atMs : Math.max(atMs, this.#outUntilMs)
    const lastMs = firstMs + this.#takesMs(bytes)
    if (bytes > 0) this.#outUntilMs = lastMs
    return { firstMs, lastMs }
  }

  /** Bytes come, the first at `firstMs`. Returns when this node can have all of them. */
  receive(bytes: number, firstMs: number): number {
    if (bytes === 0) return firstMs
    this.#inUntilMs = Math.max(firstMs, this.#inUntilMs) + this.#takesMs(bytes)
    return this.#inUntilMs
  }

  #takesMs(bytes: number): number {
    return (bytes * 1_000) / this.quality.bytesPerSecond
  }
}
