/** Answers within this time of another one are the same, in milliseconds. Prometheus asks each 15 s. */
const SAME_MS = 100

/** A registry of `prom-client`, as far as it is needed here. */
interface Collected {
  readonly contentType: string
  metrics(): Promise<string>
}

/**
 * The metrics of a registry as text, for whoever asks, as often as they ask: to collect them takes some milliseconds,
 * in which the replica does nothing else.
 */
export class Scrapes {
  readonly #registry: Collected
  readonly #now: () => number
  /** Under way, or done less than `SAME_MS` ago. */
  #newest: Promise<string> | undefined
  #doneAtMs = Number.POSITIVE_INFINITY

  constructor(registry: Collected, now: () => number = () => performance.now()) {
    this.#registry = registry
    this.#now = now
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Rejects where a metric of the application's own fails. The next one tries again then. */
  text(): Promise<string> {
    if (this.#newest === undefined || this.#now() - this.#doneAtMs >= SAME_MS) this.#newest = this.#collect()
    return this.#newest
  }

  async #collect(): Promise<string> {
    this.#doneAtMs = Number.POSITIVE_INFINITY
    try {
      const text = await this.#registry.metrics()
      this.#doneAtMs = this.#now()
      return text
    } catch (error) {
      this.#newest = undefined
      throw error
    }
  }
}
