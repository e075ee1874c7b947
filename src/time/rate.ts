interface Sample {
  readonly atMs: number
  readonly value: number
}

/** How fast a value grows, by samples of it. */
export class Rate {
  readonly #windowMs: number
  #samples: Sample[] = []

  /** @param windowMs over how long, in milliseconds; it takes the samples of that time, and the one before */
  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Take a sample. Time that did not move on is the same sample; a value that fell begins anew. */
  sample(atMs: number, value: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && (value < last.value || atMs < last.atMs)) this.#samples = []
    if (last?.atMs === atMs) this.#samples.pop()
    this.#samples.push({ atMs, value })
    const begin = this.#samples.findLastIndex((one) => one.atMs <= atMs - this.#windowMs)
    if (begin > 0) this.#samples.splice(0, begin)
  }

  /** Begin anew: what comes next is not compared with what was before. */
  restart(): void {
    this.#samples = []
  }

  /** In units a second, rounded; 0 as long as there is one sample. */
  get perSecond(): number {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0
    return Math.round(((last.value - first.value) / (last.atMs - first.atMs)) * 1_000)
  }
}
