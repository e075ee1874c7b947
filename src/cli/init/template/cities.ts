/** A map that all processes of this folder share. Start as many as you like, each with a name: npm start a */
import { createInterface } from 'node:readline'
import { createReplica, ReplicatedMap, sqliteLog } from 'anchorage'

const name = process.argv[2] ?? 'a'
const cities = new ReplicatedMap<string, number>()

await using replica = await createReplica({
  group: 'default',
  machine: cities,
  // Every write is an entry of this file. All processes of this machine open the same one.
  log: sqliteLog({ path: 'anchorage.db' }),
  // The process's own: its key, and checkpoints of the map.
  dataDir: `data-${name}`,
})
replica.addEventListener('caught-up', ({ detail }) => {
  console.log(`caught up from a peer: ${detail.bytesFetched} bytes, the map at entry ${detail.anchor.index}`)
})
await replica.inSync()
for (const [city, population] of cities) console.log(`${city}: ${population}`)

// From here on, whatever any process writes.
cities.addEventListener('change', ({ detail }) => {
  if (detail.type === 'set') console.log(`${detail.key}: ${detail.value}`)
  if (detail.type === 'delete') console.log(`${detail.key} is gone`)
})

const lines = createInterface({ input: process.stdin })
// Below "npm start" Ctrl-C may come twice: from the terminal, and from npm.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => lines.close())
console.log(
  `${name} is in sync. Type a city and its population, such as "Bern 134794", or a city to delete it.`,
)
for await (const line of lines) {
  const [, city, population] = /^(\S.*?)(?: (\d+))?$/.exec(line.trim()) ?? []
  if (city === undefined) continue
  if (population === undefined) await cities.delete(city)
  else await cities.set(city, Number(population))
}
