import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Storage } from '../../src/checkpoint/storage.ts'
import {
  type CheckpointEvent,
  CheckpointStore,
  type CheckpointStoreInit,
} from '../../src/checkpoint/store.ts'
import type { Position } from '../../src/position.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import type { StateBuilder } from '../../src/snapshot/state-builder.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { systemClock } from '../../src/time/clock.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { beforeDeath, Machine, PLACES, type Place, simulated } from './places.ts'

const CONTROL = Buffer.from('term 3')
const ITEMS = numberedItems(400, 20)
const { signal } = new AbortController()
const at = (index: number): Position => ({ epoch: 'e', index })

let directory: string
let storage: Storage
let events: CheckpointEvent[]
let installed: { position: Position; control: string; items: string[] } | undefined

function use(place: Place): void {
  directory = place.directory
  storage = place.storage
  events = []
  installed = undefined
}

const open = (init: Partial<CheckpointStoreInit> = {}) =>
  new CheckpointStore({
    directory,
    storage,
    group: 'g',
    signature: 's',
    epoch: 'e',
    clock: systemClock,
    coder: zstdCoder,
    keep: 2,
    onEvent: (event) => events.push(event),
    ...init,
  })

async function write(store: CheckpointStore, index: number, items = ITEMS, sealed = true): Promise<void> {
  const into = new CutSnapshot(zstdCoder)
  const manifest = await cut(new ItemSnapshot(items), into, {
    control: CONTROL,
    chunkBytes: 1_000,
    clock: systemClock,
    signal,
  })
  await store.write({ position: at(index), sealed, manifest, chunk: (i) => into.chunk(i) }, signal)
}

function begin(): StateBuilder {
  const items: string[] = []
  return {
    async add(chunk, count) {
      for (const item of itemsOf(chunk, count)) items.push(Buffer.from(item).toString())
    },
    commit(position, control) {
      installed = { position, control: Buffer.from(control).toString(), items }
    },
  }
}

const current = () => installed
const load = (init: Partial<CheckpointStoreInit> = {}) => open(init).load(begin, signal)
const files = async () => (await storage.list(directory)).sort()
const only = async () => join(directory, (await files()).at(-1)!)
const skipped = () => events.flatMap((event) => (event.type === 'skipped' ? [event.reason.name] : []))

describe.each(PLACES)('on $on', ({ make }) => {
  let place: Place

  beforeEach(async () => {
    place = await make()
    use(place)
  })
  afterEach(() => place[Symbol.asyncDispose]())

  test('what was written is loaded, item by item, with what the replica keeps beside it', async () => {
    await write(open(), 7)
    expect(await load()).toEqual(at(7))
    expect(installed).toEqual({ position: at(7), control: 'term 3', items: ITEMS.map(String) })
    expect(events).toMatchObject([
      { type: 'written', position: at(7), bytes: (await storage.read(await only())).length },
      { type: 'loaded', position: at(7) },
    ])
  })

  test('an empty state is a state', async () => {
    await write(open(), 7, [])
    expect(await load()).toEqual(at(7))
    expect(installed?.items).toEqual([])
  })

  test('where nothing was written, nothing is loaded', async () => {
    expect(await load()).toBeUndefined()
    expect([installed, events]).toEqual([undefined, []])
  })

  test('the newest is loaded, and the newest that the group agreed on is told apart', async () => {
    await write(open(), 7)
    await write(open(), 9, ITEMS.slice(1), false)
    const store = open()
    await store.load(begin, signal)
    expect(installed?.position).toEqual(at(9))
    expect([store.newest, store.newestSealed]).toEqual([9, 7])
  })

  test('one that is rotten is never served', async () => {
    await write(open(), 7)
    const path = await only()
    await write(open(), 9, ITEMS.slice(1))
    const bytes = await storage.read(path)
    bytes[300] = bytes[300]! ^ 0x55
    await storage.write(path, bytes)
    const store = open()
    await store.load(begin, signal)
    expect((await store.read(at(9)))?.manifest).toBeDefined()
    expect(await store.read(at(7))).toBeUndefined()
    expect(skipped()).toHaveLength(1)
  })

  test('the latest are kept, older ones are removed', async () => {
    const store = open({ keep: 2 })
    for (const index of [1, 2, 3, 4]) await write(store, index)
    await store.close()
    expect((await files()).map((name) => Number(name.slice(0, 16)))).toEqual([3, 4])
    expect(events.filter(({ type }) => type === 'dropped')).not.toEqual([])
  })

  test('one that is not newer is not written', async () => {
    const store = open()
    await write(store, 7)
    await write(store, 7)
    await write(store, 5)
    expect(await files()).toHaveLength(1)
  })

  describe('of what a crash, a disk or an operator did', () => {
    test('a file that ends anywhere is set aside, and the one before is loaded', async () => {
      await write(open(), 7)
      const store = open()
      await write(store, 9)
      const path = await only()
      const whole = await storage.read(path)
      for (let bytes = 0; bytes < whole.length; bytes += Math.ceil(whole.length / 40)) {
        await storage.write(path, whole.subarray(0, bytes))
        events = []
        expect(await load(), `${bytes} bytes`).toEqual(at(7))
        expect(skipped()).toEqual(['CheckpointDamaged'])
        expect(await files()).toContain(`${path.split('/').at(-1)}.damaged`)
      }
    })

    test('a rotten bit anywhere is noticed, unless it changes nothing', async () => {
      await write(open(), 7)
      const path = await only()
      const whole = await storage.read(path)
      for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 150)) {
        const rotten = Buffer.from(whole)
        rotten[at] = rotten[at]! ^ 0x10
        await storage.write(path, rotten)
        installed = undefined
        events = []
        // A few bits of a zstd frame mean nothing to who decodes it: the hashes are over what comes out.
        if ((await load()) === undefined)
          expect([installed, skipped().length], `byte ${at}`).toEqual([undefined, 1])
        else
          expect([current()?.items, current()?.control], `byte ${at}`).toEqual([ITEMS.map(String), 'term 3'])
        await storage.remove(`${path}.damaged`)
      }
    })

    test.each<[what: string, init: Partial<CheckpointStoreInit>, says: string]>([
      ['another group', { group: 'h' }, 'is of group g, and this replica is of h'],
      ['another state machine', { signature: 't' }, 'is of state machine s'],
      ['another incarnation of the log', { epoch: 'f' }, 'is of epoch e'],
    ])('one of %s is reported and left where it is', async (_what, init, says) => {
      await write(open(), 7)
      const before = await files()
      expect(await load(init)).toBeUndefined()
      expect(events.at(-1)).toMatchObject({
        type: 'skipped',
        reason: { name: 'CheckpointMismatch', message: expect.stringContaining(says) },
      })
      expect(await files()).toEqual(before)
    })

    test('one of a newer format is reported and left where it is', async () => {
      await write(open(), 7)
      const path = await only()
      const newer = await storage.read(path)
      newer[7] = 9
      await storage.write(path, newer)
      expect(await load()).toBeUndefined()
      expect(skipped()).toEqual(['CheckpointMismatch'])
      expect(await files()).toHaveLength(1)
    })

    test('what a write left behind that was cut off is removed', async () => {
      await storage.write(join(directory, '0000000000000009-00000000.checkpoint.new'), Buffer.from('half'))
      expect(await load()).toBeUndefined()
      expect(await files()).toEqual([])
    })

    test('a write that fails leaves the others, and nothing else', async () => {
      const store = open()
      await write(store, 7)
      const source = {
        position: at(9),
        sealed: true,
        manifest: {
          control: CONTROL,
          chunks: [{ items: 1, bytes: 1, hash: new Uint8Array(32) }],
          root: CONTROL,
        },
        chunk: () => Promise.reject(new Error('no space left on device')),
      }
      await expect(store.write(source, signal)).rejects.toThrow('no space left')
      expect(await files()).toHaveLength(1)
      expect(store.newest).toBe(7)
      await write(store, 11)
      expect(await load()).toEqual(at(11))
    })

    test('a state that the machine refuses is skipped', async () => {
      await write(open(), 7)
      const refuses: StateBuilder = { add: () => Promise.reject(new Error('no such item')), commit: () => {} }
      expect(await open().load(() => refuses, signal)).toBeUndefined()
      expect(events.at(-1)).toMatchObject({ type: 'skipped', reason: { message: 'no such item' } })
    })
  })
})

describe('a checkpoint is there whole, or not at all', () => {
  test('one that was written outlives a loss of power', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const machine = new Machine(seed)
      use(await simulated(machine))
      await write(open(), 7)
      machine.disk.powerLoss()
      storage = machine.start()
      expect(await load()).toEqual(at(7))
      expect([installed?.items, skipped()]).toEqual([ITEMS.map(String), []])
    }
  })

  test('whichever call of a write finds no power: the one before is loaded, or the new one', async () => {
    const outcomes = new Set<number | undefined>()
    for (let calls = 1; calls < 200; calls++) {
      const machine = new Machine(calls)
      use(await simulated(machine))
      await write(open(), 7)
      const life = new Life(machine.world, 'a#9')
      storage = machine.disk.storageFor(life)
      life.onDeath(() => machine.disk.powerLoss())
      life.killAtCall(calls)
      const store = open()
      await beforeDeath(
        life,
        store.load(begin, signal).then(() => write(store, 9)),
      )
      storage = machine.start()
      const position = await load()
      outcomes.add(position?.index)
      expect([skipped(), installed?.items]).toEqual([[], ITEMS.map(String)])
      if (life.isAlive) break
    }
    expect([...outcomes].sort()).toEqual([7, 9])
  })

  test('a disk that lied is found out: what it left is no checkpoint, and the one before is loaded', async () => {
    const outcomes = new Set<number | undefined>()
    for (let seed = 0; seed < 60; seed++) {
      const machine = new Machine(seed)
      use(await simulated(machine))
      await write(open(), 7)
      machine.disk.lieAboutFlush(true)
      await write(open(), 9, ITEMS.slice(1))
      machine.disk.powerLoss()
      storage = machine.start()
      const position = await load()
      outcomes.add(position?.index)
      expect(installed?.items).toEqual((position?.index === 9 ? ITEMS.slice(1) : ITEMS).map(String))
      if (skipped().length > 0) outcomes.add(-1)
    }
    expect([...outcomes].sort()).toEqual([-1, 7, 9])
  })

  test('whichever byte finds the disk full: the one before stays, and nothing else', async () => {
    const machine = new Machine()
    const { disk } = machine
    use(await simulated(machine))
    await write(open(), 7)
    const before = await files()
    let tries = 0
    for (let isWritten = false; !isWritten && tries < 200; tries++) {
      disk.fill(tries * 97)
      const store = open()
      await store.load(begin, signal)
      isWritten = await write(store, 9).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          expect(error.code).toBe('ENOSPC')
          return false
        },
      )
      disk.mend()
      if (isWritten) continue
      expect([await files(), store.newest]).toEqual([before, 7])
      expect(await load()).toEqual(at(7))
    }
    expect(await load()).toEqual(at(9))
    // The magic number, each chunk, and the contents.
    expect(tries).toBeGreaterThan(5)
  })
})
