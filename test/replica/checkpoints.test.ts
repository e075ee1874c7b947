import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DirectoryOfAnotherLog } from '../../src/checkpoint/errors.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { type MapResult, ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Position } from '../../src/position.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads, next } from './cluster.ts'

let dataDir: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'anchorage-replica-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

const start = (machine: ReplicatedMap, init: Partial<ReplicaInit<unknown>>) =>
  createReplica({ group: 'g', log: memoryLog({ epoch: 'e' }), ...init, machine })

/** Resolves with the position of the next checkpoint. */
async function written(replica: Replica<MapResult>): Promise<Position> {
  for (;;) {
    const detail = await next(replica, 'checkpoint')
    if (detail.type === 'written') return detail.position
  }
}

/** Write some keys, and stop. */
async function live(init: Partial<ReplicaInit<unknown>>, prefix: string, count: number): Promise<void> {
  const map = new ReplicatedMap()
  await using replica = await start(map, init)
  await replica.inSync()
  for (let n = 0; n < count; n++) await map.set(`${prefix}${n}`, n)
}

test('a replica that was stopped has its state back, where the log still says so', async () => {
  const log = memoryLog({ epoch: 'e' })
  await live({ log, dataDir }, 'old', 6)
  const map = new ReplicatedMap()
  await using replica = await start(map, { log, dataDir })
  await replica.inSync()
  expect(map.size).toBe(6)
})

test('a log that was put back and written again is not followed from a checkpoint of what it held before', async () => {
  const log = memoryLog({ epoch: 'e' })
  await live({ log, dataDir }, 'old', 6)
  log.rewind(2)
  await live({ log }, 'new', 20)
  await using replica = await start(new ReplicatedMap(), { log, dataDir })
  await expect(replica.inSync()).rejects.toMatchObject({ name: 'LogRewound' })
})

test('a failed start tells its own error, and lets go of the directory', async () => {
  const listen = ['/ip4/203.0.113.1/tcp/1']
  await expect(start(new ReplicatedMap(), { dataDir, listen })).rejects.toMatchObject({
    name: 'ListenFailed',
  })
  await live({ dataDir }, 'key', 1)
})

test.each([{ keep: 0 }, { keep: 1.5 }, { everyCommands: 0 }, { everyMs: Number.NaN }])(
  'an impossible policy is refused: %j',
  async (checkpoint) => {
    await expect(start(new ReplicatedMap(), { dataDir, checkpoint })).rejects.toThrow(RangeError)
  },
)

test('what is applied while a checkpoint is written counts for the next one', async () => {
  const map = new ReplicatedMap()
  await using replica = await start(map, { dataDir, checkpoint: { everyCommands: 100 } })
  await replica.inSync()
  const write = async (count: number) => {
    for (let n = 0; n < count; n++) await map.set(`key-${n}`, n)
  }
  await write(40)
  const anchor = await replica.mark()
  await replica.reached(anchor)
  const first = written(replica)
  await write(50)
  expect(await first).toEqual(anchor)
  const second = written(replica)
  await write(50)
  expect((await second).index).toBeGreaterThan(anchor.index)
})

test('the log is pruned up to what the group agreed on, also after a clean stop', async () => {
  const log = memoryLog({ epoch: 'e' })
  let sealed: Position
  {
    const map = new ReplicatedMap()
    await using replica = await start(map, { log, dataDir })
    await replica.inSync()
    await map.set('old', 1)
    const first = written(replica)
    sealed = await replica.mark()
    expect(await first).toEqual(sealed)
    await map.set('new', 2)
  }
  const map = new ReplicatedMap()
  await using replica = await start(map, { log, dataDir })
  const loaded = next(replica, 'checkpoint')
  await replica.inSync()
  const detail = await loaded
  expect(detail.type === 'loaded' && detail.position.index).toBeGreaterThan(sealed.index)
  await leads(replica)
  // The marker stays while its anchor is offered, as it is again.
  expect(await replica.prune({ keepEntries: 0 })).toBe(sealed.index - 1)
})

describe('before the first checkpoint the log is not pruned, and why is said', () => {
  test('where a replica keeps a data directory: who, when it writes the first, and how to have it now', async () => {
    const map = new ReplicatedMap()
    const log = memoryLog({ epoch: 'e' })
    const checkpoint = { everyCommands: 100, everyBytes: 1_000_000, everyMs: 60_000 }
    await using replica = await start(map, { log, dataDir, checkpoint })
    await leads(replica)
    await map.set('key', 1)
    const refused = await replica.prune({ keepEntries: 0 }).catch((error: Error) => error)
    expect(refused).toMatchObject({ name: 'PruneRefused' })
    const { message } = refused as Error
    expect(message).toContain(`no checkpoint is written yet: ${replica.id} keeps a data directory`)
    expect(message).toContain('after 100 commands, 1000000 bytes of commands or 60000 ms')
    expect(message).toContain('1 commands are in by now')
    const first = written(replica)
    const { index } = await replica.mark()
    await first
    expect(await replica.prune({ keepEntries: 0 })).toBe(index - 1)
  })

  test('where only another one does: who', async () => {
    const log = memoryLog({ epoch: 'e' })
    await using leader = await start(new ReplicatedMap(), { log })
    await leads(leader)
    await using other = await start(new ReplicatedMap(), { log, dataDir, lead: false })
    await other.inSync()
    await expect(leader.prune()).rejects.toThrow(
      `no checkpoint is written yet: ${other.id} keeps a data directory`,
    )
  })

  test('where nobody does: that', async () => {
    await using replica = await start(new ReplicatedMap(), {})
    await leads(replica)
    await expect(replica.prune()).rejects.toThrow('no replica holds a checkpoint: give replicas a dataDir')
  })
})

test('a directory with the state of another log is refused, until it is told to go with that log', async () => {
  await live({ dataDir, log: memoryLog({ epoch: 'e' }) }, 'old', 6)
  const other = memoryLog({ epoch: 'other' })
  const error = await start(new ReplicatedMap(), { dataDir, log: other }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(DirectoryOfAnotherLog)
  expect(error).toMatchObject({ epoch: 'other', held: { of: { group: 'g', epoch: 'e', items: 6 } } })
  expect((error as Error).message).toMatch(/holds 6 items .* of the log of epoch e, but .* epoch other: /)

  // Nobody has begun the log by that.
  const { signature } = new ReplicatedMap()
  const handle = await other.open({ group: 'g', signature, author: 'x' })
  expect((await handle.bounds()).newest.index).toBe(0)
  await handle.close()

  const told = { dataDir, log: other, checkpoint: { onStop: false } }
  await live({ ...told, newLog: true }, 'new', 3)
  // It has no checkpoint of the new log yet, but was told.
  await live(told, 'newer', 3)
  await live({ dataDir, log: other }, 'newest', 1)
  // What it holds of the old log is still there, if that comes back.
  await using back = await start(new ReplicatedMap(), { dataDir, log: memoryLog({ epoch: 'e' }) })
  expect(back.state).toBe('starting')
})

test('a log that is not there is not made for a directory that holds a state', async () => {
  const log = sqliteLog({ path: join(dataDir, 'log.db') })
  const data = join(dataDir, 'data')
  await live({ dataDir: data, log }, 'old', 6)
  await rm(join(dataDir, 'log.db'))
  await expect(start(new ReplicatedMap(), { dataDir: data, log })).rejects.toMatchObject({
    name: 'DirectoryOfAnotherLog',
    epoch: undefined,
    message: expect.stringContaining(`there is no log at ${join(dataDir, 'log.db')}`),
  })
  expect(existsSync(join(dataDir, 'log.db'))).toBe(false)
  // Of a replica without a directory, and of one with an empty one, nothing is lost.
  await live({ dataDir: join(dataDir, 'empty'), log }, 'new', 1)
})
