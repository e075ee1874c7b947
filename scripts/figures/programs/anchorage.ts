/** A replica, as the README makes one: `anchorage.ts LOG DATA_DIR KEY`. */

import type * as Anchorage from '../../../src/index.ts'
import { say, serve } from '../lines.ts'

// What users install is measured, and not its sources.
const built = new URL('../../../dist/index.js', import.meta.url).href
const { createReplica, jetstreamLog, ReplicatedMap, sqliteLog }: typeof Anchorage = await import(built)
say({ event: 'loaded' })

const [log, dataDir, key] = process.argv.slice(2) as [string, string, string]
const map = new ReplicatedMap<string, object>()
const replica = await createReplica({
  group: 'figures',
  machine: map,
  log: log.startsWith('nats:') ? jetstreamLog({ servers: log }) : sqliteLog({ path: log }),
  dataDir,
})
let fetched = 0
replica.addEventListener('caught-up', ({ detail }) => {
  fetched += detail.bytesFetched
})
await replica.inSync()
say({ event: 'ready', value: JSON.stringify(map.get(key)), items: map.size, fetched })
await serve(
  function* () {
    for (const [key, value] of map.range()) yield [key, JSON.stringify(value)] as const
  },
  () => replica.stop(),
)
