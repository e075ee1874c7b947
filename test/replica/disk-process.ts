/**
 * Replicas whose data directory is on a small disk of this process's own: `disk-process.ts full|read-only DIR`.
 * Sends what it saw.
 */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { memoryLog } from '../../src/log/memory.ts'
import { bytesCodec, stringCodec } from '../../src/machine/codec.ts'
import { ReplicatedMap } from '../../src/machine/replicated-map.ts'
import { createReplica } from '../../src/replica/replica.ts'
import { next } from './cluster.ts'

const [, , what, dataDir = ''] = process.argv
const log = memoryLog({ epoch: 'e' })
const LARGE = randomBytes(3 * 1024 * 1024)

function startOn() {
  const machine = new ReplicatedMap({ keys: stringCodec, values: bytesCodec })
  const checkpoint = { everyCommands: 10 }
  return createReplica({ group: 'g', machine, log, dataDir, checkpoint }).then((replica) => ({
    machine,
    replica,
  }))
}

async function full() {
  const seen: Record<string, unknown> = {}
  {
    const { machine, replica } = await startOn()
    await replica.inSync()
    const written = next(replica, 'checkpoint')
    for (let n = 0; n < 10; n++) await machine.set(`small-${n}`, Buffer.of(n))
    seen.first = (await written).type

    const problem = next(replica, 'problem')
    for (let n = 0; n < 10; n++) await machine.set(`large-${n}`, LARGE)
    seen.problem = ((await problem) as NodeJS.ErrnoException).code
    await machine.set('after', Buffer.of(1))
    seen.state = replica.state
    seen.files = await readdir(join(dataDir, 'checkpoints'))

    const atStop = next(replica, 'problem')
    await replica.stop()
    seen.atStop = ((await atStop) as NodeJS.ErrnoException).code
  }
  {
    const { machine, replica } = await startOn()
    const loaded = next(replica, 'checkpoint')
    await replica.inSync()
    seen.again = (await loaded).type
    seen.size = machine.size
    await machine.deleteMany(Array.from({ length: 10 }, (_, n) => `large-${n}`))
    const written = next(replica, 'checkpoint')
    await replica.stop()
    seen.withRoom = (await written).type
  }
  return seen
}

async function readOnly() {
  const refused = await startOn().catch((error: Error) => error)
  return refused instanceof Error ? { name: refused.name, message: refused.message } : 'it started'
}

process.send!(what === 'full' ? await full() : await readOnly())
process.disconnect()
