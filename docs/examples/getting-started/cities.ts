import { createInterface } from 'node:readline'
import { createReplica, ReplicatedMap, sqliteLog } from 'anchorage'

const name = process.argv[2] ?? 'a'
const cities = new ReplicatedMap<string, number>()
cities.addEventListener('change', ({ detail }) => {
  if (detail.type === 'set') console.log(`${name} sees ${detail.key}: ${detail.value}`)
})

await using replica = await createReplica({
  group: 'cities',
  machine: cities,
  log: sqliteLog({ path: 'cities.db' }),
  dataDir: `data-${name}`,
})
replica.addEventListener('caught-up', ({ detail }) => {
  console.log(`${name} fetched ${detail.bytesFetched} bytes from ${detail.providersUsed.length} other`)
})
await replica.inSync()
console.log(`${name} is in sync, with ${cities.size} cities`)

for await (const line of createInterface({ input: process.stdin })) {
  const [city, people] = line.split(' ')
  if (city && people) await cities.set(city, Number(people))
}
