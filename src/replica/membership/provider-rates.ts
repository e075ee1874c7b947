/** How far back a rate looks, in milliseconds: a chunk takes a part of that, and a provider that stops is seen soon. */
const SPAN_MS = 1_500

/** What had come from each peer at a time. */
interface Sample {
  readonly atMs: number
  readonly received: ReadonlyMap<string, number>
}

/** How fast each peer sends: of the bytes that had come from it at several times, those of the last second and a half. */
export class ProviderRates {
  /** Oldest first: the newest ones, and of those from before the span the last. */
  #samples: Sample[] = []

  /** So much has come from each peer by now. */
  sample(atMs: number, received: ReadonlyMap<string, number>): void {
    const samples = [...this.#samples, { atMs, received }]
    const first = samples.findLastIndex((sample) => sample.atMs <= atMs - SPAN_MS)
    this.#samples = samples.slice(Math.max(0, first))
  }

  /** What a peer sends now, in bytes per second. */
  of(peer: string): number {
    const [oldest] = this.#samples
    const newest = this.#samples.at(-1)
    if (oldest === undefined || newest === undefined || newest.atMs <= oldest.atMs) return 0
    const bytes = (newest.received.get(peer) ?? 0) - (oldest.received.get(peer) ?? 0)
    return Math.max(0, (bytes / (newest.atMs - oldest.atMs)) * 1_000)
  }
}
