/**
 * Replicas whose data directory is on a small disk of this process's own: `disk-process.ts full|read-only|narrow|other DIR`.
 * Sends what it saw.
 */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { memoryLog } from '../../src/log/memory.ts'
import { bytesCodec, stringCodec } from '../../src/machine/codec.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads, next } from './cluster.ts'

const [, , what, dataDir = ''] = process.argv
const log = memoryLog({ epoch: 'e' })
const LARGE = randomBytes(3 * 1024 * 1024)

const chunks = async () => (await readdir(join(dataDir, 'checkpoints', 'chunks'))).length

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
    const files = await readdir(join(dataDir, 'checkpoints'), { recursive: true })
    seen.files = files.filter((file) => file.endsWith('.checkpoint'))

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

/**
 * The disk has room for what a joiner fetches, or for its checkpoint, but not for both.
 * @param isOther the checkpoint is of another state than the one that was fetched
 */
async function narrow(isOther: boolean) {
  const start = async (dir?: string) => {
    const machine = new ReplicatedMap({ keys: stringCodec, values: bytesCodec })
    const init = { group: 'g', machine, log, volatile: true, lead: dir === undefined }
    return { machine, replica: await createReplica({ ...init, ...(dir !== undefined && { dataDir: dir }) }) }
  }
  const one = await start()
  await leads(one.replica)
  await one.machine.set('large', LARGE)
  await one.replica.prune({ keepEntries: 0 })
  const joiner = await start(dataDir)
  const problems: string[] = []
  joiner.replica.addEventListener('problem', ({ detail }) => problems.push(detail.message))
  const written = next(joiner.replica, 'checkpoint')
  await joiner.replica.inSync()
  // The checkpoint is written a second after that.
  if (isOther) await one.machine.set('large', randomBytes(LARGE.length))
  const seen = {
    kept: await chunks(),
    checkpoint: (await written).type,
    problems,
  }
  await Promise.all([one.replica.stop(), joiner.replica.stop()])
  return { ...seen, left: await chunks() }
}

async function readOnly() {
  const refused = await startOn().catch((error: Error) => error)
  return refused instanceof Error ? { name: refused.name, message: refused.message } : 'it started'
}

const other = () => narrow(true)
process.send!(await { full, narrow: () => narrow(false), other, 'read-only': readOnly }[what as 'full']())
process.disconnect()
