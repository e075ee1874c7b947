import type { Promised } from '../../src/testing/simulation/invariant.ts'
import type { Timeline } from './timeline.ts'

/** A promise that was broken, and what had happened until it was found. */
export interface Broken {
  readonly promise: Promised
  readonly message: string
  readonly round: number
  /** Empty where an earlier one of this round has it. */
  readonly timeline: readonly string[]
}

/** More would tell nothing new. */
const KEPT_MAX = 20

/** The promises that were broken so far. */
export class Verdicts {
  readonly #timeline: Timeline
  readonly #broken: Broken[] = []
  #round = 0
  #count = 0

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get all(): readonly Broken[] {
    return this.#broken
  }

  /** How many there were, those that were not kept included. */
  get count(): number {
    return this.#count
  }

  roundBegins(round: number): void {
    this.#round = round
  }

  broken(promise: Promised, message: string): void {
    this.#count++
    this.#timeline.note('BROKEN', `${promise}: ${message}`)
    if (this.#broken.length === KEPT_MAX) return
    const isFirst = this.#broken.every(({ round }) => round !== this.#round)
    const timeline = isFirst ? this.#timeline.newest() : []
    this.#broken.push({ promise, message, round: this.#round, timeline })
  }
}
