import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { createReplica } from '../../src/replica/start.ts'
import { Cluster } from './cluster.ts'
import { line } from './journal.ts'

let dataDir: string
const NEVER = { everyCommands: Infinity, everyBytes: Infinity, everyMs: Infinity }

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'anchorage-checkpointed-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

test('a checkpoint that the group agreed on is awaited, and then known at once, also in a second life', async () => {
  const log = memoryLog()
  let anchor: Awaited<ReturnType<typeof replica.mark>>
  let replica: Awaited<ReturnType<typeof start>>
  const start = () =>
    createReplica({ group: 'g', log, machine: new ReplicatedMap(), dataDir, checkpoint: NEVER })
  {
    await using first = await start()
    replica = first
    await first.inSync()
    let events = 0
    first.addEventListener('checkpoint', ({ detail }) => {
      if (detail.type === 'written') events++
    })
    anchor = await first.mark()
    const before = first.checkpointed({ ...anchor, index: anchor.index - 1 })
    await first.checkpointed(anchor)
    expect(events).toBe(1)
    await before
    await first.checkpointed({ ...anchor, index: 0 })
  }
  await using second = await start()
  await second.checkpointed(anchor)
})

test('one after the position will do, and one before it will not', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start({ dataDir, checkpoint: NEVER })
  await replica.inSync()
  const first = await replica.mark()
  await replica.checkpointed(first)
  const { position } = await replica.submit(line('a'))
  let done = false
  const waiting = replica.checkpointed(position).then(() => {
    done = true
  })
  await replica.submit(line('b'))
  expect(done).toBe(false)
  await replica.mark()
  await waiting
})

test('the leader may prune up to it at once', async () => {
  const machine = new ReplicatedMap()
  const log = sqliteLog({ path: join(dataDir, 'log.db') })
  const own = join(dataDir, 'replica')
  await using replica = await createReplica({ group: 'g', log, machine, dataDir: own, checkpoint: NEVER })
  await machine.set('a', 1)
  const anchor = await replica.mark()
  await replica.checkpointed(anchor)
  expect(await replica.prune({ keepEntries: 0 })).toBe(anchor.index - 1)
})

describe('it rejects', () => {
  test('without a data directory, and says what to give', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start()
    const error = await replica.checkpointed(replica.position).catch((error: Error) => error)
    expect(error).toMatchObject({ name: 'NoDataDirectory', code: 'NO_DATA_DIRECTORY' })
    expect(String(error)).toContain('dataDir')
  })

  test('for another log, and for a position that is none', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start({ dataDir })
    const { epoch } = replica.position
    await expect(replica.checkpointed({ epoch: 'other', index: 1 })).rejects.toMatchObject({
      name: 'EpochChanged',
    })
    await expect(replica.checkpointed({ epoch, index: -1 })).rejects.toThrow(RangeError)
  })

  test('with what halted the replica, before and after', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start({ dataDir, checkpoint: NEVER })
    await replica.inSync()
    const position = { ...replica.position, index: 100 }
    const waiting = expect(replica.checkpointed(position)).rejects.toMatchObject({ name: 'ApplyFailed' })
    await expect(replica.submit(line('unbearable'))).rejects.toThrow('tore')
    await waiting
    await expect(replica.checkpointed(position)).rejects.toMatchObject({ name: 'ApplyFailed' })
  })

  test('when the replica is stopped', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start({ dataDir, checkpoint: NEVER })
    const waiting = expect(replica.checkpointed({ ...replica.position, index: 100 })).rejects.toMatchObject({
      name: 'ReplicaStopped',
    })
    await replica.stop()
    await waiting
  })

  test('when the time that it was given is up, and says where the replica stands', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start({ dataDir, checkpoint: NEVER })
    await replica.inSync()
    const signal = AbortSignal.timeout(50)
    await expect(replica.checkpointed({ ...replica.position, index: 100 }, { signal })).rejects.toThrow(
      /checkpointed\(\) took longer than it was given: this replica is in-sync/,
    )
  })
})

test('for a machine that keeps its state by itself, an agreement on it counts', async () => {
  using machine = sqliteMachine({
    path: join(dataDir, 'state'),
    schema: 'CREATE TABLE line (text TEXT PRIMARY KEY) STRICT, WITHOUT ROWID',
    apply: (db, command) => void db.run('INSERT INTO line VALUES (?)', Buffer.from(command).toString()),
  })
  await using replica = await createReplica({
    ...{ group: 'g', log: memoryLog(), machine, dataDir: join(dataDir, 'replica'), checkpoint: NEVER },
  })
  await replica.inSync()
  await machine.submit(line('a'))
  const waiting = replica.checkpointed(replica.position)
  await replica.mark()
  await waiting
})
