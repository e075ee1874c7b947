import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/file.ts'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { Place } from './anchorage.ts'

const KEYS = 3_000

let place: Place

beforeEach(async () => {
  place = await Place.make()
})
afterEach(() => place[Symbol.asyncDispose]())

/** A replica whose log was lost, and what it holds. */
async function halted(dataDir?: string): Promise<Replica> {
  const path = place.path('lost.db')
  const map = new ReplicatedMap<string, number>()
  const replica = await createReplica({
    group: 'default',
    machine: map,
    log: sqliteLog({ path, pollMs: 20 }),
    ...(dataDir !== undefined && { dataDir }),
  })
  await replica.inSync()
  await map.setMany(Array.from({ length: KEYS }, (_, n) => [`key ${n}`, n]))
  await map.set('last', -1)
  const ends = new Promise<void>((resolve) =>
    replica.addEventListener('state', ({ detail }) => detail.state === 'halted' && resolve()),
  )
  for (const part of ['', '-wal', '-shm']) rmSync(path + part, { force: true })
  await ends
  expect(await replica.inSync().catch((error: Error) => error.name)).toBe('EpochChanged')
  return replica as Replica
}

/** Begin a new log with a file, as operations.md says, and read from it what the old one ended with. */
async function importInto(log: string, file: string): Promise<void> {
  const dataDir = place.path('new')
  const imported = await place.run(['import', file, '--log', log, '--data', dataDir, '--json'])
  expect(imported.stderr).toBe('')
  expect(JSON.parse(imported.stdout)).toMatchObject({ items: KEYS + 1 })
  const map = new ReplicatedMap<string, number>()
  await using replica = await createReplica({
    group: 'default',
    machine: map,
    log: sqliteLog({ path: log }),
    dataDir,
  })
  await replica.inSync()
  expect(map.size).toBe(KEYS + 1)
  expect(map.get('last')).toBe(-1)
  expect(map.get(`key ${KEYS - 1}`)).toBe(KEYS - 1)
}

test('a replica whose log is gone exports its state, and a new log begins with it', async () => {
  await using replica = await halted()
  const file = place.path('state.checkpoint')
  const position = await replica.exportTo(file)
  expect(position).toEqual(replica.position)
  await using checkpoint = await openCheckpoint(file, fileStorage)
  expect(checkpoint).toMatchObject({ sealed: false, position })
  await importInto(place.path('new.db'), file)
})

test('one that was stopped by then has left it among its checkpoints', async () => {
  const dataDir = place.path('data')
  await (await halted(dataDir)).stop()
  const checkpoints = join(dataDir, 'checkpoints')
  const file = readdirSync(checkpoints).find((name) => name.endsWith('.checkpoint'))!
  await importInto(place.path('new.db'), join(checkpoints, file))
})

test('one that was halted for another reason exports nothing: the group has the state', async () => {
  const map = new ReplicatedMap<string, number>()
  map.apply = () => {
    throw new Error('the machine is broken')
  }
  await using replica = await createReplica({ group: 'g', machine: map, log: memoryLog() })
  await replica.inSync()
  await map.set('a', 1).catch(() => {})
  expect(replica.state).toBe('halted')
  await expect(replica.exportTo(place.path('none'))).rejects.toThrow('the machine is broken')
})
