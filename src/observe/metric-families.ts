import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import {
  BUCKETS_S,
  type LabelsOf,
  METRICS,
  type MetricDefinition,
  type MetricName,
  type NamesOf,
} from './metric-definitions.ts'

type Labels = Readonly<Record<string, string>>
type Metric = Counter | Gauge | Histogram

/** Sets what is read at a scrape. */
interface Collector {
  collect(): Promise<void>
}

/** Of each registry, the metrics in it. */
const known = new WeakMap<Registry, MetricFamilies>()

/** All metrics of the replicas that one registry tells of. Labels tell the replicas apart. */
export class MetricFamilies {
  readonly #metrics = new Map<string, Metric>()
  readonly #labelNames: readonly string[]
  readonly #collectors = new Set<Collector>()
  /** What a scrape is setting now: all gauges of it ask for that. */
  #collecting: Promise<void> | undefined

  /**
   * The metrics of a registry. Throws `RangeError` if they are there with other labels: a metric has the same
   * labels everywhere.
   */
  static in(registry: Registry, labelNames: readonly string[]): MetricFamilies {
    const there = known.get(registry)
    const [first] = Object.keys(METRICS) as [MetricName]
    if (there === undefined || registry.getSingleMetric(first) !== there.#metrics.get(first)) {
      const families = new MetricFamilies(registry, labelNames)
      known.set(registry, families)
      return families
    }
    if (String(there.#labelNames) !== String(labelNames))
      throw new RangeError(
        `a replica in this registry has the labels ${there.#labelNames.join(', ')}; give this one the same, and not ${labelNames.join(', ')}, or a registry of its own`,
      )
    return there
  }

  private constructor(registry: Registry, labelNames: readonly string[]) {
    this.#labelNames = labelNames
    for (const [name, { type, help, labels = [] }] of Object.entries<MetricDefinition>(METRICS)) {
      const init = { name, help, labelNames: [...labelNames, ...labels], registers: [registry] }
      this.#metrics.set(
        name,
        make(type, init, () => this.#collect()),
      )
    }
  }

  /** One replica's part of them. */
  series(labels: Labels): MetricSeries {
    return new MetricSeries(this.#metrics, labels)
  }

  /** Have a collector set what it knows at each scrape, until the returned function is called. */
  collectBy(collector: Collector): () => void {
    this.#collectors.add(collector)
    return () => this.#collectors.delete(collector)
  }

  #collect(): Promise<void> {
    this.#collecting ??= Promise.all(Array.from(this.#collectors, (one) => one.collect())).then(
      () => {
        this.#collecting = undefined
      },
      (error) => {
        this.#collecting = undefined
        throw error
      },
    )
    return this.#collecting
  }
}

interface MetricInit {
  readonly name: string
  readonly help: string
  readonly labelNames: string[]
  readonly registers: Registry[]
}

function make(type: MetricDefinition['type'], init: MetricInit, collect: () => Promise<void>): Metric {
  switch (type) {
    case 'counter':
      return new Counter(init)
    case 'gauge':
      return new Gauge({ ...init, collect })
    case 'histogram':
      return new Histogram({ ...init, buckets: BUCKETS_S })
    default:
      return type satisfies never
  }
}

/** One value of a metric: its labels, written out. */
interface Series {
  readonly metric: Metric
  readonly labels: Labels
}

/** The metrics of one replica. */
export class MetricSeries {
  readonly #metrics: ReadonlyMap<string, Metric>
  readonly #labels: Labels
  /** What was set, by the metric's name and the values of its labels. */
  readonly #series = new Map<string, Series>()

  constructor(metrics: ReadonlyMap<string, Metric>, labels: Labels) {
    this.#metrics = metrics
    this.#labels = labels
  }

  add<Name extends NamesOf<'counter'>>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    const { metric, labels: all } = this.#of(name, labels)
    ;(metric as Counter).inc(all, by)
  }

  set<Name extends NamesOf<'gauge'>>(name: Name, labels: LabelsOf<Name>, value: number): void {
    const { metric, labels: all } = this.#of(name, labels)
    ;(metric as Gauge).set(all, value)
  }

  observe<Name extends NamesOf<'histogram'>>(name: Name, labels: LabelsOf<Name>, seconds: number): void {
    const { metric, labels: all } = this.#of(name, labels)
    ;(metric as Histogram).observe(all, seconds)
  }

  /** Have histograms tell of nothing, before something is observed. */
  zero<Name extends NamesOf<'histogram'>>(name: Name, labels: LabelsOf<Name>): void {
    const { metric, labels: all } = this.#of(name, labels)
    ;(metric as Histogram).zero(all)
  }

  /** How many values a metric has. */
  count(name: MetricName): number {
    return [...this.#series.keys()].filter((key) => key.startsWith(`${name}\0`)).length
  }

  /** Tell nothing of this replica any more. */
  remove(): void {
    for (const { metric, labels } of this.#series.values()) metric.remove(labels)
    this.#series.clear()
  }

  #of(name: MetricName, labels: Labels): Series {
    const key = `${name}\0${Object.values(labels).join('\0')}`
    let series = this.#series.get(key)
    if (series === undefined) {
      series = { metric: this.#metrics.get(name)!, labels: { ...this.#labels, ...labels } }
      this.#series.set(key, series)
    }
    return series
  }
}
