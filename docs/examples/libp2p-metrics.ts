/** A replica's metrics and those of its libp2p node, side by side: `node libp2p-metrics.ts`. */
import { once } from 'node:events'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { createReplica, memoryLog, ReplicatedMap } from 'anchorage'
import { observeReplica, serveHttp } from 'anchorage/observe'
import { Registry } from 'prom-client'

/** Tells some of what a scrape gets, and returns it. */
export async function main(tell: (line: string) => void = console.log): Promise<string> {
  const init = { group: 'cities', log: memoryLog(), volatile: true }
  const cities = new ReplicatedMap()
  await using first = await createReplica({ ...init, machine: cities })
  while (first.leader !== first.id) await once(first, 'leader')
  await cities.set('Vardø', '1,700 people')
  // Who comes now needs a snapshot, and fetches it over libp2p.
  await first.prune({ keepEntries: 0 })

  const registry = new Registry()
  const metrics = prometheusMetrics({ registry, collectDefaultMetrics: false, preserveExistingMetrics: true })
  const machine = new ReplicatedMap()
  await using second = await createReplica({ ...init, machine, libp2p: { metrics } })
  using observed = observeReplica(second, { registry, processMetrics: true })
  await using server = await serveHttp(observed)

  await second.inSync()
  const scrape = await (await fetch(`${server.url}/metrics`)).text()
  const told = /^(anchorage_catch_ups_total|libp2p_data_transfer_bytes_total)\{.*$/gm
  for (const [line] of scrape.matchAll(told)) tell(line)
  return scrape
}

if (import.meta.main) await main()
