import type { Member, Membership } from '../../group/membership.ts'
import type { Clock } from '../../time/clock.ts'

export interface HoldersInit {
  /** This replica's PeerId, as text: it does not count. */
  readonly self: string
  readonly clock: Clock
  readonly membership: Pick<Membership, 'list'>
}

/** Members that are remembered. Of more, those that were seen longest ago are forgotten. */
const REMEMBERED_MAX = 1_024

/**
 * The other members that announce a state, and when each last did. An announcement may expire because its
 * replica is too busy to renew it: a replica that held the state a moment ago has not lost it.
 */
export class Holders {
  readonly #self: string
  readonly #clock: Clock
  readonly #membership: Pick<Membership, 'list'>
  readonly #seenAtMs = new Map<string, number>()

  constructor({ self, clock, membership }: HoldersInit) {
    this.#self = self
    this.#clock = clock
    this.#membership = membership
  }

  /** Another replica is in sync, and could serve a snapshot. */
  get someoneServes(): boolean {
    return this.#membership.list().some(({ id, state }) => id !== this.#self && state === 'in-sync')
  }

  /** The members may have changed: remember those of now. */
  look(): void {
    for (const member of this.#membership.list()) {
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
    this.look()
    return [...this.#seenAtMs].flatMap(([id, seenAtMs]) => (seenAtMs >= sinceMs ? [id] : []))
  }
}

/** The member announces a state that follows the log, or may be reading one from its disk. */
function holds({ state, offers }: Member): boolean {
  return state === 'in-sync' || state === 'following' || state === 'starting' || offers.length > 0
}
