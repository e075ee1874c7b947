import { raceSignal } from 'race-signal'
import { REPLICA_STATES } from '../group/announcement.ts'
import type { HoldCause } from '../group/pruning.ts'
import { packageVersion } from '../package-version.ts'
import type { LogLag } from '../replica/following/positions.ts'
import type { MetricSeries } from './metric-families.ts'
import type { ObservableReplica } from './observable-replica.ts'

/**
 * How long a scrape waits for the log's end, in milliseconds. Prometheus gives a scrape 10 s. A log that does not
 * answer in time leaves the values of the last scrape.
 */
const LAG_MS_MAX = 2_000

const HOLD_CAUSES: readonly HoldCause[] = ['policy', 'checkpoint', 'offer', 'catch-up']

/** What a replica is like at a scrape. */
export class GaugeMetrics {
  readonly #replica: ObservableReplica
  readonly #series: MetricSeries

  constructor(replica: ObservableReplica, series: MetricSeries) {
    this.#replica = replica
    this.#series = series
  }

  async collect(): Promise<void> {
    this.#group()
    this.#offers()
    const lag = await this.#lag()
    if (lag !== undefined) this.#log(lag)
  }

  #group(): void {
    const { state, id, leader, term, format, members, logConnected } = this.#replica
    const series = this.#series
    series.set('anchorage_build_info', { version: packageVersion() }, 1)
    for (const one of REPLICA_STATES) {
      series.set('anchorage_state', { state: one }, one === state ? 1 : 0)
      const of = members.filter((member) => member.addresses.length > 0 && member.state === one)
      series.set('anchorage_members', { state: one }, of.length)
    }
    series.set('anchorage_is_leader', {}, leader === id ? 1 : 0)
    series.set('anchorage_term', {}, term)
    series.set('anchorage_group_format', {}, format)
    series.set('anchorage_log_connected', {}, logConnected ? 1 : 0)
    series.set('anchorage_applied_position', {}, this.#replica.position.index)
  }

  #offers(): void {
    const { offers } = this.#replica
    for (const ready of [true, false]) {
      const count = offers.filter((offer) => offer.ready === ready).length
      this.#series.set('anchorage_offers', { ready: String(ready) }, count)
    }
  }

  #log({ entries, ms, log: { first, newest } }: LogLag): void {
    const series = this.#series
    series.set('anchorage_lag_entries', {}, entries)
    series.set('anchorage_lag_seconds', {}, ms / 1_000)
    series.set('anchorage_log_position', {}, newest.index)
    series.set('anchorage_log_first_position', {}, first)
    series.set('anchorage_log_entries', {}, newest.index - first + 1)
    const { logHolds } = this.#replica
    for (const reason of HOLD_CAUSES) {
      const upTo = Math.min(
        newest.index,
        ...logHolds.flatMap((hold) => (hold.by === reason ? [hold.upTo] : [])),
      )
      series.set('anchorage_log_held_entries', { reason }, newest.index - Math.max(upTo, first - 1))
    }
  }

  async #lag(): Promise<LogLag | undefined> {
    const signal = AbortSignal.timeout(LAG_MS_MAX)
    try {
      return await raceSignal(this.#replica.lag({ signal }), signal)
    } catch {
      return undefined
    }
  }
}
