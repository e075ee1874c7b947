import { parser } from '@prometheus-io/lezer-promql'
import type { MetricName } from '../../src/observe/metric-definitions.ts'
import type { ObservedReplica } from '../../src/observe/observed-replica.ts'

type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

/** What a scrape of one replica told. */
export class Scrape {
  /** Metrics that some test has seen at another value than 0. */
  static readonly moved = new Set<string>()
  readonly text: string
  readonly #samples: readonly Sample[]

  static async of(observed: ObservedReplica): Promise<Scrape> {
    return new Scrape(await observed.metrics(), observed.replica.id)
  }

  /** @param replica only the samples of this one */
  constructor(text: string, replica?: string) {
    this.text = text
    this.#samples = samplesOf(text).filter(
      ({ labels }) => replica === undefined || labels.replica === replica,
    )
  }

  /** The value that has these labels, among others; undefined if there is none. */
  value(name: MetricName | `${MetricName}_${'count' | 'sum'}`, labels: Labels = {}): number | undefined {
    const found = this.#samples.filter(
      (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
    )
    if (found.length > 1) throw new Error(`${name} has ${found.length} values with ${JSON.stringify(labels)}`)
    const value = found[0]?.value
    if (value !== undefined && value !== 0) Scrape.moved.add(name.replace(/_(count|sum)$/, ''))
    return value
  }

  /** Every value of a metric, by the value of one of its labels. */
  values(name: MetricName, label: string): Record<string, number> {
    const of = this.#samples.filter((one) => one.name === name)
    if (of.some(({ value }) => value !== 0)) Scrape.moved.add(name)
    return Object.fromEntries(of.map(({ labels, value }) => [labels[label], value]))
  }

  /** What a label of a metric, or of the buckets of one, is. */
  labelValues(name: MetricName, label: string): string[] {
    const of = this.#samples.filter((one) => one.name === name || one.name === `${name}_count`)
    return of.flatMap(({ labels }) => labels[label] ?? [])
  }

  /** How many values there are. */
  get length(): number {
    return this.#samples.length
  }
}

function samplesOf(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const at = line.lastIndexOf(' ')
      const selector = line.slice(0, at)
      const value = line.slice(at + 1)
      return { ...selected(selector), value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) }
    })
}

/** The name and labels of a sample are written as in a query. */
function selected(selector: string): Omit<Sample, 'value'> {
  const labels: Record<string, string> = {}
  let name = ''
  let label = ''
  parser.parse(selector).iterate({
    enter({ name: kind, from, to }) {
      const text = selector.slice(from, to)
      if (kind === '⚠') throw new Error(`no sample: ${selector}`)
      if (kind === 'Identifier') name = text
      if (kind === 'LabelName') label = text
      if (kind === 'StringLiteral') labels[label] = JSON.parse(text)
    },
  })
  return { name, labels }
}
