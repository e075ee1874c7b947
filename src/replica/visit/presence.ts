import { encodeAnnouncement } from '../../group/announcement.ts'
import { GROUP_FORMAT } from '../../group/formats.ts'
import type { Log } from '../../log/log.ts'
import { type Clock, Deadline } from '../../time/clock.ts'
import { Ticker } from '../../time/ticker.ts'

/** How long an announcement of a visitor lives, in milliseconds: what is left of one that was killed. */
const TTL_MS = 5_000
/** How long a visitor tries to say that it leaves, in milliseconds. */
const FAREWELL_MS = 1_000
/** An announcement is renewed this many times before it would expire. */
const RENEWALS = 5

export interface VisitPresenceInit {
  /** The visitor's PeerId, as text. */
  readonly self: string
  readonly log: Pick<Log, 'epoch' | 'notices'>
  readonly clock: Clock
}

/**
 * A visitor's announcement. Replicas serve members alone, and who can write here may be one. It says nothing that
 * others would count on: the visitor holds no state, leads nobody, and is over for whoever asks what members speak.
 */
export class VisitPresence {
  readonly #init: VisitPresenceInit
  readonly #ticker: Ticker
  /** Bytes that the visitor has received, which tell that its fetch makes progress. */
  receivedBytes: () => number = () => 0
  #needs = 0

  constructor(init: VisitPresenceInit) {
    this.#init = init
    this.#ticker = new Ticker({
      clock: init.clock,
      label: 'announcing a visit',
      intervalMs: TTL_MS / RENEWALS,
      run: (signal) => this.#announce(signal),
      // The next one comes.
      onError: () => {},
    })
  }

  /** Resolves when the group can know of this visitor. Rejects with what the log says. */
  async announce(): Promise<void> {
    await this.#ticker.now()
  }

  async pin(anchor: number): Promise<void> {
    this.#needs = anchor
    await this.#ticker.now()
  }

  async leave(): Promise<void> {
    await this.#ticker.stop()
    const { self, log, clock } = this.#init
    using late = new Deadline(clock, FAREWELL_MS)
    // It expires by itself.
    await log.notices.withdraw(self, { signal: late.signal }).catch(() => {})
  }

  async #announce(signal: AbortSignal): Promise<void> {
    const { self, log } = this.#init
    const announcement = encodeAnnouncement({
      epoch: log.epoch,
      addresses: [],
      state: this.#needs > 0 ? 'catching-up' : 'stopped',
      applied: 0,
      leads: 0,
      offers: [],
      needs: this.#needs,
      receivedBytes: this.receivedBytes(),
      checkpoint: 0,
      // Without a machine it reads whatever there is, and must not hold the group at an older format.
      format: GROUP_FORMAT,
    })
    await log.notices.announce(self, announcement, TTL_MS, { signal })
  }
}
