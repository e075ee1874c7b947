import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import { EventMetrics } from './event-metrics.ts'
import { GaugeMetrics } from './gauge-metrics.ts'
import { Health } from './health.ts'
import { TAKEN_LABELS } from './metric-definitions.ts'
import { MetricFamilies, type MetricSeries } from './metric-families.ts'
import type { ObservableReplica } from './observable-replica.ts'

/** Options of `observeReplica`. */
export interface ObserveOptions {
  /**
   * Where the metrics go: a registry of `prom-client`, such as the program's own. Several replicas may be in one.
   * Default: a registry of this replica's own.
   */
  readonly registry?: Registry
  /**
   * Labels of every metric of this replica, beside `group` (its name) and `replica` (its PeerId). These two may be
   * given here as well: a replica without a data directory has a new PeerId each time it starts, and so new time
   * series, unless `replica` is a name that stays. All replicas of a registry have the same names of labels.
   * Default: none.
   */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Whether the metrics of the process belong to it: event loop, memory, garbage collection, handles. Default:
   * true, but false if `registry` is given, because a program collects them once.
   */
  readonly processMetrics?: boolean
}

const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/

/** A replica that metrics are kept of. `observeReplica` makes it. */
export class ObservedReplica implements Disposable {
  /** The replica itself. */
  readonly replica: ObservableReplica
  /** Where the metrics are. */
  readonly registry: Registry
  /** Whether it is well. */
  readonly health: Health
  readonly #series: MetricSeries
  readonly #ends: readonly (() => void)[]

  /** @internal Use `observeReplica`. */
  constructor(replica: ObservableReplica, { registry, labels = {}, processMetrics }: ObserveOptions) {
    checkLabels(labels)
    this.replica = replica
    this.registry = registry ?? new Registry()
    const all = { group: replica.group, replica: replica.id, ...labels }
    const families = MetricFamilies.in(this.registry, Object.keys(all).sort())
    if (processMetrics ?? registry === undefined) registerProcessMetrics(this.registry)
    this.#series = families.series(all)
    this.health = new Health(replica)
    const events = new EventMetrics(replica, this.#series)
    this.#ends = [
      replica.observe((event) => events.happened(event)),
      replica.observe((event) => this.health.happened(event)),
      families.collectBy(new GaugeMetrics(replica, this.#series)),
    ]
  }

  /** All metrics of the registry, in the text format of Prometheus. */
  async metrics(): Promise<string> {
    return await this.registry.metrics()
  }

  /** Keep no metrics any more, and take those of this replica out of the registry. The replica goes on. */
  [Symbol.dispose](): void {
    for (const end of this.#ends) end()
    this.#series.remove()
  }
}

/**
 * Keep metrics of a replica, from now on: docs/metrics.md lists them. Throws `RangeError` for a label that cannot
 * be one, or that other replicas of the registry do not have.
 *
 * @example
 * ```ts
 * await using replica = await createReplica({ group: 'cities', machine, log, dataDir })
 * using observed = observeReplica(replica)
 * console.log(await observed.metrics())
 * ```
 */
export function observeReplica(replica: ObservableReplica, options: ObserveOptions = {}): ObservedReplica {
  return new ObservedReplica(replica, options)
}

let ofProcess: Registry | undefined

/**
 * Metrics of the process are collected once, whatever registries they are in: their observers of the event loop and of
 * garbage collection cannot be ended. Twenty of them took a fifth of a transfer's speed.
 */
function registerProcessMetrics(registry: Registry): void {
  if (ofProcess === undefined) {
    ofProcess = new Registry()
    collectDefaultMetrics({ register: ofProcess })
  }
  // What the registry returns are metrics, though its types say that they are what `getMetricsAsJSON` makes of them.
  for (const metric of ofProcess.getMetricsAsArray()) registry.registerMetric(metric as unknown as Metric)
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(labels)) {
    if (!LABEL_NAME.test(name) || TAKEN_LABELS.has(name))
      throw new RangeError(
        `labels.${name} cannot be a label of all metrics: give letters, digits and _, and none of ${[...TAKEN_LABELS].join(', ')}`,
      )
    if (typeof value !== 'string') throw new RangeError(`labels.${name} is ${typeof value}; give a string`)
  }
}
