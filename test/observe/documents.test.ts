import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parser } from '@prometheus-io/lezer-promql'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Output } from '../../src/cli/output.ts'
import { describeProgram } from '../../src/cli/program/program.ts'
import { METRICS, type MetricDefinition, type MetricName } from '../../src/observe/metric-definitions.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { Cluster } from '../replica/cluster.ts'
import { Scrape } from './scrape.ts'

const DOCS = new URL('../../docs/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, DOCS), 'utf8')
const definitions: Readonly<Record<string, MetricDefinition>> = METRICS
/** Labels of every series, those included that Prometheus adds. */
const COMMON = ['group', 'replica', 'instance', 'job']

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const rules: Rule[] = parse(read('observe/anchorage.rules.yml')).groups.flatMap(
  ({ rules }: { rules: Rule[] }) => rules,
)
const { panels }: { panels: Panel[] } = JSON.parse(read('observe/anchorage-dashboard.json'))
const queries = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
]

/** The table of a page: the cells of each row that begins with a name in backticks. */
function rowsOf(page: string): string[][] {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | ?\|$/g, '').trim()))
}

/** What a query selects: a metric, and what its labels are to be. */
function selectorsOf(
  query: string,
): { metric: string; matchers: [label: string, op: string, value: string][] }[] {
  const text = query.replaceAll('$__rate_interval', '5m')
  const found: ReturnType<typeof selectorsOf> = []
  let label = ''
  let op = ''
  parser.parse(text).iterate({
    enter({ name, from, to, type }) {
      const part = text.slice(from, to)
      if (type.isError) throw new Error(`${text} is no query at ${part || from}`)
      if (name === 'VectorSelector') found.push({ metric: '', matchers: [] })
      if (name === 'Identifier') found.at(-1)!.metric = part
      if (name === 'LabelName') label = part
      if (name === 'MatchOp') op = part
      if (name === 'StringLiteral') found.at(-1)!.matchers.push([label, op, JSON.parse(part)])
    },
  })
  return found
}

test('docs/metrics.md lists every metric, with its type, its labels and their values, and no other', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  const scrape = await Scrape.of(observed)
  const rows = rowsOf(read('metrics.md')).filter(([name]) => name!.startsWith('`anchorage_'))
  const listed = rows.map(([name, type]) => [name!.replaceAll('`', ''), type])
  expect(listed.sort()).toEqual(
    Object.entries(definitions)
      .map(([name, { type }]) => [name, type])
      .sort(),
  )
  for (const [cell, _type, labels] of rows) {
    if (labels!.endsWith('as above')) continue
    const name = cell!.replaceAll('`', '') as MetricName
    const taken = (definitions[name]!.labels ?? []).flatMap((label) => {
      // Others follow from what happens.
      const isFixed = label !== 'version' && label !== 'code'
      return [label, ...(isFixed ? scrape.labelValues(name, label) : [])]
    })
    const words = Array.from(labels!.matchAll(/`([\w-]+)`/g), ([, word]) => word)
    expect([name, new Set(words)]).toEqual([name, new Set(taken)])
  }
})

test('docs/runbook.md lists every alert, with its severity and a command that there is, and no other', () => {
  const listed = rowsOf(read('runbook.md')).filter(([name]) => name!.startsWith('`Anchorage'))
  expect(listed.map(([name, severity]) => `${name} ${severity}`).sort()).toEqual(
    rules.map(({ alert, labels }) => `\`${alert}\` ${labels.severity}`).sort(),
  )
  for (const [, , command] of listed) {
    const [program, ...args] = command!.replaceAll('`', '').split(' ')
    expect(program).toBe('anchorage')
    const described = describeProgram(() => {}, new Output({ json: false, color: false }))
    // Throws for a command or an option that there is not.
    described.parse(args, { from: 'user' })
  }
})

describe('every alert and every panel of the dashboard asks for what there is', async () => {
  test.each(queries)('%s: %s', async (_title, query) => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start()
    using observed = observeReplica(replica)
    const scrape = await Scrape.of(observed)
    const selectors = selectorsOf(query)
    expect(selectors).not.toEqual([])
    for (const { metric, matchers } of selectors) {
      const name = metric.replace(/_(bucket|sum|count)$/, (suffix) => (metric in definitions ? suffix : ''))
      if (!metric.startsWith('anchorage_')) {
        expect(scrape.text).toContain(`# TYPE ${metric} `)
        continue
      }
      expect(Object.keys(definitions)).toContain(name)
      const { labels = [] } = definitions[name]!
      for (const [label, op, value] of matchers) {
        expect([...COMMON, ...labels]).toContain(label)
        if (COMMON.includes(label) || label === 'code') continue
        for (const one of op === '=~' ? value.split('|') : [value])
          expect(scrape.text).toMatch(new RegExp(`^${name}\\{.*${label}="${one}"`, 'm'))
      }
    }
  })
})

/** CI names it. */
const PROMTOOL = process.env.PROMTOOL ?? 'promtool'
const promtool = spawnSync(PROMTOOL, ['--version']).status === 0
if (!promtool) console.warn('*** promtool is not installed (Debian: prometheus): ITS CHECKS ARE SKIPPED ***')

test.skipIf(!promtool)('promtool takes the rules and the configuration', () => {
  const check = (...args: string[]) => execFileSync(PROMTOOL, args, { encoding: 'utf8' })
  const place = (name: string) => fileURLToPath(new URL(`observe/${name}`, DOCS))
  expect(check('check', 'rules', place('anchorage.rules.yml'))).toContain(`SUCCESS: ${rules.length} rules`)
  expect(check('check', 'config', place('prometheus.yml'))).toContain('SUCCESS')
})

test.skipIf(!promtool)('promtool takes a scrape, and has nothing to say against the names', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica, { processMetrics: false })
  const input = await observed.metrics()
  const { stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], { input, encoding: 'utf8' })
  expect(`${stdout}${stderr}`).toBe('')
})
