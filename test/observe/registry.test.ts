import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import parsePrometheusText from 'parse-prometheus-text-format'
import { Registry } from 'prom-client'
import { expect, test, vi } from 'vitest'
import { EventMetrics } from '../../src/observe/event-metrics.ts'
import { METRICS } from '../../src/observe/metric-definitions.ts'
import { MetricFamilies } from '../../src/observe/metric-families.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { Cluster, type Started } from '../replica/cluster.ts'
import { Journal, line } from '../replica/journal.ts'
import { Scrape } from './scrape.ts'

const run = promisify(execFile)

test('two replicas in one registry, told apart by labels, until one is observed no more', async () => {
  await using cluster = new Cluster()
  const [leader, follower] = (await cluster.startLed(1)) as [Started, Started]
  const registry = new Registry()
  const of = (name: string) => ({ registry, labels: { replica: name, zone: 'eu "1"' } })
  using first = observeReplica(leader.replica, of('first'))
  const second = observeReplica(follower.replica, of('second'))
  const both = new Scrape(await registry.metrics())
  expect(both.values('anchorage_is_leader', 'replica')).toEqual({ first: 1, second: 0 })
  expect(both.value('anchorage_term', { replica: 'first', group: 'journals', zone: 'eu "1"' })).toBe(1)
  expect(both.text).not.toContain('process_cpu')
  second[Symbol.dispose]()
  await leader.replica.submit(line('a'))
  const one = new Scrape(await first.metrics())
  expect(one.values('anchorage_is_leader', 'replica')).toEqual({ first: 1 })
  expect(one.length * 2).toBe(both.length)

  const { replica } = follower
  expect(() => observeReplica(replica, { registry })).toThrow(/has the labels group, replica, zone/)
  expect(() => observeReplica(replica, { labels: { state: 'x' } })).toThrow(RangeError)
  expect(() => observeReplica(replica, { labels: { __name__: 'x' } })).toThrow(RangeError)
  expect(() => observeReplica(replica, { labels: { 'a-b': 'x' } })).toThrow(RangeError)
})

test('with a registry of its own, a replica tells of its process too, and a parser of the format takes all of it', async () => {
  await using cluster = new Cluster()
  const started = await cluster.start()
  using observed = observeReplica(started.replica)
  const text = await observed.metrics()
  for (const name of ['nodejs_eventloop_lag_p99_seconds', 'process_resident_memory_bytes'])
    expect(text).toContain(`\n${name} `)
  const ours = parsePrometheusText(text).filter(({ name }) => name.startsWith('anchorage_'))
  const told = ours.map(({ name, type, help }) => [name, { type: type.toLowerCase(), help }])
  const defined = Object.entries(METRICS).map(([name, { type, help }]) => [name, { type, help }])
  expect(told).toEqual(defined)
})

test('metrics of the process are collected once, however many replicas it has had', async () => {
  await using cluster = new Cluster()
  const [leader, follower] = (await cluster.startLed(1)) as [Started, Started]
  const metricOf = ({ replica }: Started) => {
    using observed = observeReplica(replica)
    return observed.registry.getSingleMetric('nodejs_gc_duration_seconds')
  }
  const first = metricOf(leader)
  expect(first).toBeDefined()
  expect(metricOf(follower)).toBe(first)
})

test('a program that keeps no metrics, and a replica that is asked for none, does not load prom-client', async () => {
  const entry = (name: string) => JSON.stringify(new URL(`../../src/${name}`, import.meta.url).href)
  const loads = async (name: string) => {
    const program = `
      import { createRequire } from 'node:module'
      await import(${entry(name)})
      const { cache } = createRequire(${entry(name)})
      console.log(Object.keys(cache).some((path) => path.includes('/prom-client/')))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
    return JSON.parse(stdout)
  }
  const entries = ['index.ts', 'cli/commands/node.ts', 'observe/index.ts', 'cli/commands/libp2p-metrics.ts']
  expect(await Promise.all(entries.map(loads))).toEqual([false, false, true, true])
})

test('codes of errors beyond a number count as one', () => {
  const registry = new Registry()
  const series = MetricFamilies.in(registry, []).series({})
  const metrics = new EventMetrics({ id: 'me' }, series)
  for (let n = 0; n < 100; n++)
    metrics.happened({ type: 'problem', detail: Object.assign(new Error(), { code: `CODE_${n}` }) })
  metrics.happened({ type: 'problem', detail: Object.assign(new Error(), { code: 'of a peer: \n{}' }) })
  metrics.happened({ type: 'problem', detail: Object.assign(new Error(), { code: 'CODE_1' }) })
  expect(series.count('anchorage_problems_total')).toBe(65)
})

test('metrics take no warning out of the hands of standard error', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  try {
    await using cluster = new Cluster({ isMute: false })
    const machine = new Journal()
    const started = await cluster.start({}, machine)
    using _observed = observeReplica(started.replica)
    await started.replica.submit(line('unbearable')).catch(() => {})
    expect(started.replica.state).toBe('halted')
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('the journal tore'))
  } finally {
    warn.mockRestore()
  }
})
