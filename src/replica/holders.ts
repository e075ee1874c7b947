import type { Member } from '../group/membership.ts'
import type { Clock } from '../time/clock.ts'

/** Members that are remembered. */
const REMEMBERED_MAX = 1_024

/**
 * Who announces a state, and when it last did. An announcement may expire because its replica is too busy to renew it: who held
 * the state a moment ago has not lost it.
 */
export class Holders {
  readonly #self: string
  readonly #clock: Clock
  readonly #seenAtMs = new Map<string, number>()

  constructor(self: string, clock: Clock) {
    this.#self = self
    this.#clock = clock
  }

  /** These are the members now. */
  saw(members: readonly Member[]): void {
    for (const member of members) {
      if (member.id === this.#self || !holds(member)) continue
      this.#seenAtMs.delete(member.id)
      this.#seenAtMs.set(member.id, this.#clock.now())
    }
    for (const oldest of this.#seenAtMs.keys()) {
      if (this.#seenAtMs.size <= REMEMBERED_MAX) break
      this.#seenAtMs.delete(oldest)
    }
  }

  /** The others that have announced a state at that time or later. */
  since(sinceMs: number): string[] {
    return [...this.#seenAtMs].flatMap(([id, seenAtMs]) => (seenAtMs >= sinceMs ? [id] : []))
  }
}

/** It announces a state that follows the log, or may be reading one from its disk. */
function holds({ state, offers }: Member): boolean {
  return state === 'in-sync' || state === 'following' || state === 'starting' || offers.length > 0
}
