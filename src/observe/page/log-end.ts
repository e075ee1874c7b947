import { raceSignal } from 'race-signal'
import type { LogBounds } from '../../log/log.ts'
import type { Clock } from '../../time/clock.ts'
import { Rate } from '../../time/rate.ts'
import type { ObservableReplica } from '../observable-replica.ts'

/** The log is asked at most once in this many milliseconds, whoever looks at it. */
const ASK_MS = 1_000
/** A log that does not answer in this time, in milliseconds, leaves what it said before. */
const ANSWER_MS_MAX = 2_000

/** Where the log begins and ends, as it said a second ago. */
export class LogEnd {
  readonly #replica: Pick<ObservableReplica, 'lag'>
  readonly #clock: Clock
  readonly #appended = new Rate(ASK_MS)
  #bounds: LogBounds | undefined
  #askedMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  constructor(replica: Pick<ObservableReplica, 'lag'>, clock: Clock) {
    this.#replica = replica
    this.#clock = clock
  }

  /** Undefined until the log was asked and answered. */
  get bounds(): LogBounds | undefined {
    return this.#bounds
  }

  /** Entries that came to it in a second. */
  get appendedPerSecond(): number {
    return this.#appended.perSecond
  }

  restart(): void {
    this.#appended.restart()
  }

  /** Ask it, unless that was done a moment ago. Resolves when it has answered, or has not in time. */
  look(): Promise<void> {
    if (this.#asking === undefined && this.#clock.now() - this.#askedMs >= ASK_MS) {
      this.#askedMs = this.#clock.now()
      this.#asking = this.#ask().finally(() => {
        this.#asking = undefined
      })
    }
    return this.#asking ?? Promise.resolve()
  }

  async #ask(): Promise<void> {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX)
    try {
      const { log } = await raceSignal(this.#replica.lag({ signal }), signal)
      this.#bounds = log
      this.#appended.sample(this.#clock.now(), log.newest.index)
    } catch {
      // Whether it can be reached is told beside.
    }
  }
}
