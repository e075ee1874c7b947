import type { PageView } from '../view.ts'

/** Minutes that the charts show. */
export const HISTORY_MS = 5 * 60_000
const SAMPLES_MAX = 1_200

export interface Sample {
  readonly atMs: number
  /** Entries that this replica is behind, and that the last one of the others is. */
  readonly lag: number
  readonly lagMost: number
  readonly applied: number
  readonly appended: number
  readonly fetched: number
  readonly served: number
}

/** What the charts show: figures of the views of the last minutes. */
export class History {
  readonly #samples: Sample[] = []
  #self = ''

  get samples(): readonly Sample[] {
    return this.#samples
  }

  /** Another replica on the same address has a history of its own. */
  add({ atMs, self, log, members, rates }: PageView): void {
    if (self !== this.#self) this.#samples.length = 0
    this.#self = self
    const last = this.#samples.at(-1)
    // Its clock was put back.
    if (last !== undefined && atMs < last.atMs) this.#samples.length = 0
    if (last?.atMs === atMs) this.#samples.pop()
    const others = members.filter(({ id, silent }) => id !== self && !silent)
    this.#samples.push({
      atMs,
      lag: Math.max(0, log.newest - log.applied),
      lagMost: Math.max(0, ...others.map(({ lag }) => lag)),
      applied: rates.appliedPerSecond,
      appended: rates.appendedPerSecond,
      fetched: rates.fetchedPerSecond,
      served: rates.servedPerSecond,
    })
    const from = this.#samples.findIndex((sample) => atMs - sample.atMs <= HISTORY_MS)
    this.#samples.splice(0, Math.max(from, this.#samples.length - SAMPLES_MAX, 0))
  }
}
