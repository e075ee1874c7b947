import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { DataDirectory } from '../../src/checkpoint/data-directory.ts'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { CheckpointStore } from '../../src/checkpoint/store.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { assertImported } from '../../src/replica/import/assert-imported.ts'
import { importOn } from '../../src/replica/import/import-into.ts'
import { createReplica } from '../../src/replica/start.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { systemClock } from '../../src/time/clock.ts'
import { beforeDeath, Machine } from '../checkpoint/places.ts'
import { leads, TIMES } from './cluster.ts'

const ITEMS = 200
const { signature } = new ReplicatedMap()
const { signal } = new AbortController()

let backup: Buffer

beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-import-crash-'))
  const map = new ReplicatedMap()
  const replica = await createReplica({
    group: 'old',
    machine: map,
    log: memoryLog(),
    chunkBytes: 256,
    ...TIMES,
  })
  try {
    await leads(replica)
    await map.setMany(Array.from({ length: ITEMS }, (_, n) => [`key ${n}`, n]))
    await replica.exportTo(join(dir, 'backup'))
    backup = await readFile(join(dir, 'backup'))
  } finally {
    await replica.stop()
    await rm(dir, { recursive: true })
  }
})

const transform = { items: (items: AsyncIterable<Uint8Array>) => items }
const importOnto = (storage: Storage, log: MemoryLog, isTransformed: boolean) =>
  importOn(
    { storage },
    {
      log,
      group: 'new',
      file: '/backup',
      dataDir: '/data',
      ...(isTransformed && { transform, chunkBytes: 256 }),
    },
  )

/** How many items a replica begins with that starts on this disk. */
async function itemsOn(storage: Storage, log: MemoryLog): Promise<number> {
  const handle = await log.open({ group: 'new', signature, author: 'test' })
  using data = await DataDirectory.open('/data', storage)
  await assertImported(data, handle, signal)
  let items = 0
  const skipped: unknown[] = []
  const store = await CheckpointStore.open({
    ...{ directory: data.checkpoints, storage, group: 'new', signatures: [signature], epoch: handle.epoch },
    ...{ clock: systemClock, coder: zstdCoder, keep: 2 },
    onEvent: (event) => {
      if (event.type === 'skipped') skipped.push(event)
    },
  })
  const builder = {
    async add(_: Uint8Array, count: number) {
      items += count
    },
    commit() {},
  }
  const position = await store.load(() => builder, signal)
  await store.close()
  expect(skipped).toEqual([])
  expect(position?.index ?? 0).toBe(items === 0 ? 0 : 1)
  return items
}

async function entriesIn(log: MemoryLog): Promise<number> {
  const handle = await log.open({ group: 'new', signature, author: 'test' })
  return (await handle.bounds()).newest.index
}

test.each([
  ['of a file', false],
  ['with a transform', true],
] as const)(
  'an import %s that ends with the power at any call: the log is empty and can be begun again, or has all',
  async (_, isTransformed) => {
    const seen = { empty: 0, refused: 0, begun: 0 }
    let calls = 0
    for (let isWhole = false; !isWhole; ) {
      const machine = new Machine(++calls)
      machine.disk.provision('/backup', backup)
      const log = memoryLog()
      const life = new Life(machine.world, 'importer')
      life.killAtCall(calls)
      const imported = await beforeDeath(life, importOnto(machine.disk.storageFor(life), log, isTransformed))
      isWhole = imported !== undefined
      machine.disk.powerLoss()
      if ((await entriesIn(log)) === 0) {
        const found = await itemsOn(machine.start(), log).catch((error: Error) => error.name)
        expect(['ImportUnfinished', 0]).toContain(found)
        seen[found === 0 ? 'empty' : 'refused']++
        machine.disk.powerLoss()
        await importOnto(machine.start(), log, isTransformed)
        machine.disk.powerLoss()
      } else seen.begun++
      expect(await itemsOn(machine.start(), log)).toBe(ITEMS)
    }
    expect(calls).toBeGreaterThan(40)
    expect(seen.empty).toBeGreaterThan(20)
    expect(seen.refused).toBeGreaterThan(0)
    expect(seen.begun).toBeGreaterThan(0)
  },
)
