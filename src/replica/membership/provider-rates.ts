import { Rate } from '../../time/rate.ts'

/** How far back a rate looks, in milliseconds: a chunk takes a part of that, and a provider that stops is seen soon. */
const SPAN_MS = 1_500

/** How fast each peer sends: by the bytes that had come from it at several times. */
export class ProviderRates {
  #rates = new Map<string, Rate>()
  #sampledMs: number | undefined

  /** So much has come from each peer by now. One that is not among them has sent nothing in this session. */
  sample(atMs: number, received: ReadonlyMap<string, number>): void {
    const before = this.#rates
    this.#rates = new Map(
      Array.from(received, ([peer, bytes]) => {
        const rate = before.get(peer) ?? this.#fromNothing()
        rate.sample(atMs, bytes)
        return [peer, rate]
      }),
    )
    this.#sampledMs = atMs
  }

  /** What a peer sends now, in bytes per second. */
  of(peer: string): number {
    return this.#rates.get(peer)?.perSecond ?? 0
  }

  /** Of a peer from which nothing had come by the sample before. */
  #fromNothing(): Rate {
    const rate = new Rate(SPAN_MS)
    if (this.#sampledMs !== undefined) rate.sample(this.#sampledMs, 0)
    return rate
  }
}
