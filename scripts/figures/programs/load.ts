/** Writes the history into a log of ours, while nobody follows it: `load.ts LOG ROWS ROUNDS`. */

import { appendAll } from '../../../src/cli/log/append-all.ts'
import { jetstreamLog } from '../../../src/log/jetstream.ts'
import { sqliteLog } from '../../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../../src/machines/map/replicated-map.ts'
import { history, rowsIn } from '../history.ts'
import { say } from '../lines.ts'

const [to, rows, rounds] = process.argv.slice(2) as [string, string, string]
const { commands, signature } = new ReplicatedMap()
const place = to.startsWith('nats:') ? jetstreamLog({ servers: to }) : sqliteLog({ path: to })
const log = await place.open({ group: 'figures', signature, author: 'figures' })
await appendAll(log, batches(await rowsIn(rows)), () => {})
await log.close()
say({ event: 'ready' })

function* batches(rows: Awaited<ReturnType<typeof rowsIn>>): Generator<Uint8Array[]> {
  for (const batch of history(rows, Number(rounds)))
    yield batch.map(([key, value]) => commands.set(key, JSON.parse(value)))
}
