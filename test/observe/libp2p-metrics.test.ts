import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Counter, Registry, register } from 'prom-client'
import { expect, test } from 'vitest'
import { main } from '../../docs/examples/libp2p-metrics.ts'
import { Libp2pMetrics } from '../../src/cli/commands/libp2p-metrics.ts'
import { node } from '../../src/cli/commands/node.ts'
import type { Context } from '../../src/cli/context.ts'
import { UsageError } from '../../src/cli/errors.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { Cluster, leads } from '../replica/cluster.ts'
import { line } from '../replica/journal.ts'

const sampleOf = (text: string, series: string): number =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length),
  )
const namesOf = (text: string): string[] => Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name!)

test('libp2p counts connections and bytes beside what a replica counts, and harms nothing', async () => {
  // Of the program, in the registry that all modules share.
  new Counter({ name: 'songs_played_total', help: 'of the program' }).inc(3)
  const lines: string[] = []
  const text = await main((told) => void lines.push(told))
  const connections = 'libp2p_connection_manager_connections'
  const [dialled, taken] = ['outbound', 'inbound'].map((way) =>
    sampleOf(text, `${connections}{${connections}="${way}"}`),
  )
  expect(dialled! + taken!).toBeGreaterThan(0)
  for (const series of [
    'libp2p_data_transfer_bytes_total{protocol="/anchorage/sync/1.0.0 received"}',
    'libp2p_data_transfer_bytes_total{protocol="global sent"}',
  ])
    expect([series, sampleOf(text, series)]).toEqual([series, expect.toSatisfy((value) => value > 0)])
  expect(lines.join('\n')).toMatch(/^anchorage_catch_ups_total\{.*outcome="installed"\} 1$/m)
  expect(await register.metrics()).toContain('songs_played_total 3')

  // Ours, and the process's, are as they are without libp2p's: no name is missing, taken or there twice.
  await using cluster = new Cluster()
  using alone = observeReplica((await cluster.start()).replica)
  const names = namesOf(text)
  expect(new Set(names).size).toBe(names.length)
  const ours = namesOf(await alone.metrics())
  expect(ours).toContain('process_resident_memory_bytes')
  expect(names.filter((name) => !/^(libp2p_|nodejs_(memory|fs)_)/.test(name)).sort()).toEqual(ours.sort())
})

test('it counts the streams that there are while a replica catches up', async () => {
  await using cluster = new Cluster()
  const leader = await cluster.start()
  await leads(leader.replica)
  await leader.replica.submit(line('one'))
  await leader.replica.prune({ keepEntries: 0 })
  const registry = new Registry()
  // Without the option it forgets the node before, and what the program has.
  const { replica } = await cluster.start({
    lead: false,
    libp2p: { metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) },
  })
  const scrapes: Promise<string>[] = []
  replica.addEventListener('sync', () => {
    scrapes.push(registry.getSingleMetricAsString('libp2p_protocol_streams_total'))
  })
  await replica.inSync()
  const streams = 'libp2p_protocol_streams_total{protocol="outbound /anchorage/sync/1.0.0"}'
  const seen = (await Promise.all(scrapes)).map((text) => sampleOf(text, streams))
  expect(seen.some((open) => open > 0)).toBe(true)
  expect(await register.metrics()).not.toContain('songs_played_total')
})

test('the command line refuses them where nobody could read them, and keeps them in a registry of its own', async () => {
  await expect(node({} as Context, { libp2pMetrics: true })).rejects.toThrow(UsageError)
  const { registry } = new Libp2pMetrics()
  expect([registry, registry === register]).toEqual([expect.any(Registry), false])
})
