import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkpointName, epochTag } from '../../src/checkpoint/belonging.ts'
import { chunkName } from '../../src/checkpoint/chunk-file.ts'
import { writeCheckpoint } from '../../src/checkpoint/file.ts'
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
import { type EncodedChunk, zstdCoder } from '../../src/snapshot/encoding.ts'
import { chunkHash, type Manifest, makeManifest } from '../../src/snapshot/manifest.ts'
import type { StateBuilder } from '../../src/snapshot/state-builder.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { systemClock } from '../../src/time/clock.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { beforeDeath, Machine, PLACES, type Place, simulated } from './places.ts'

const CONTROL = Buffer.from('term 3')
const ITEMS = numberedItems(400, 20)
const OTHERS = numberedItems(400, 21)
/** Shares all but the first chunks with `ITEMS`. */
const CHANGED = ITEMS.slice(1)
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
  CheckpointStore.open({
    directory,
    storage,
    group: 'g',
    signatures: ['s'],
    epoch: 'e',
    clock: systemClock,
    coder: zstdCoder,
    keep: 2,
    onEvent: (event) => events.push(event),
    ...init,
  })

async function cutOf(items: readonly Uint8Array[]) {
  const into = new CutSnapshot(zstdCoder)
  const manifest = await cut(new ItemSnapshot(items), into, {
    control: CONTROL,
    chunkBytes: 1_000,
    clock: systemClock,
    signal,
  })
  return { into, manifest }
}
const manifestOf = async (items: readonly Uint8Array[]) => (await cutOf(items)).manifest
const namesOf = ({ chunks }: Manifest) => chunks.map(({ hash }) => chunkName(hash)).sort()

/** Resolves with which chunks were asked for. */
async function write(store: CheckpointStore, index: number, items = ITEMS, sealed = true) {
  const { into, manifest } = await cutOf(items)
  const asked: number[] = []
  const chunk = (index: number) => {
    asked.push(index)
    return into.chunk(index)
  }
  await store.write({ position: at(index), signature: 's', sealed, manifest, chunk }, signal)
  return { asked, manifest }
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
const load = async (init: Partial<CheckpointStoreInit> = {}) => await (await open(init)).load(begin, signal)
const files = async () => (await storage.list(directory)).filter((name) => name !== 'chunks').sort()
const chunks = async () => await storage.list(join(directory, 'chunks'))
async function bytesOnDisk(): Promise<number> {
  const paths = [...(await files()), ...(await chunks()).map((name) => join('chunks', name))]
  const sizes = await Promise.all(paths.map((path) => storage.size(join(directory, path))))
  return sizes.reduce((sum, bytes) => sum + bytes, 0)
}
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
    await write(await open(), 7)
    expect(await load()).toEqual(at(7))
    expect(installed).toEqual({ position: at(7), control: 'term 3', items: ITEMS.map(String) })
    expect(events).toMatchObject([
      { type: 'written', position: at(7), bytes: await bytesOnDisk(), wholeBytes: await bytesOnDisk() },
      { type: 'loaded', position: at(7) },
    ])
  })

  test('an empty state is a state', async () => {
    await write(await open(), 7, [])
    expect(await load()).toEqual(at(7))
    expect(installed?.items).toEqual([])
  })

  test('where nothing was written, nothing is loaded', async () => {
    expect(await load()).toBeUndefined()
    expect([installed, events]).toEqual([undefined, []])
  })

  test('the newest is loaded, and the newest that the group agreed on is told apart', async () => {
    await write(await open(), 7)
    await write(await open(), 9, CHANGED, false)
    const store = await open()
    await store.load(begin, signal)
    expect(installed?.position).toEqual(at(9))
    expect([store.newest, store.newestSealed]).toEqual([9, 7])
  })

  test('one that is rotten is never served', async () => {
    await write(await open(), 7)
    const [path] = (await chunks()).map((name) => join(directory, 'chunks', name))
    await write(await open(), 9, OTHERS)
    const bytes = await storage.read(path!)
    await storage.write(path!, bytes.fill(0x55, bytes.length >> 1))
    const store = await open()
    await store.load(begin, signal)
    expect((await store.read(at(9)))?.manifest).toBeDefined()
    expect(await store.read(at(7))).toBeUndefined()
    expect(skipped()).toHaveLength(1)
  })

  test('the latest are kept, older ones are removed', async () => {
    const store = await open({ keep: 2 })
    for (const index of [1, 2, 3, 4]) await write(store, index)
    await store.close()
    expect((await files()).map((name) => Number(name.slice(0, 16)))).toEqual([3, 4])
    expect(events.filter(({ type }) => type === 'dropped')).not.toEqual([])
  })

  test('one that is not newer is not written', async () => {
    const store = await open()
    await write(store, 7)
    await write(store, 7)
    await write(store, 5)
    expect(await files()).toHaveLength(1)
  })

  describe('chunks that checkpoints have in common', () => {
    test('are stored once, and not even asked for again', async () => {
      const store = await open()
      await write(store, 7)
      const before = await chunks()
      const { asked, manifest } = await write(store, 9, CHANGED)
      const fresh = manifest.chunks.filter(({ hash }) => !before.includes(chunkName(hash)))
      expect(asked.map((index) => manifest.chunks[index])).toEqual(fresh)
      expect(asked.length).toBeLessThan(manifest.chunks.length / 2)
      expect(await chunks()).toHaveLength(before.length + fresh.length)
      const [first, second] = events.flatMap((event) => (event.type === 'written' ? [event] : []))
      expect(second!.bytes).toBeLessThan(second!.wholeBytes * 0.7)
      expect(first!.bytes + second!.bytes).toBe(await bytesOnDisk())
      expect(await load()).toEqual(at(9))
      expect(installed?.items).toEqual(CHANGED.map(String))
    })

    test('are shared with one of an earlier life', async () => {
      await write(await open(), 7)
      const store = await open()
      await store.load(begin, signal)
      expect((await write(store, 9)).asked).toEqual([])
      expect(await load()).toEqual(at(9))
    })

    test('twice in one checkpoint, too', async () => {
      const bytes = Buffer.from([2, 1, 1, 2, 1, 1])
      const twice = { items: 2, bytes: 6, hash: chunkHash(bytes) }
      const manifest = makeManifest(CONTROL, [twice, twice])
      const store = await open()
      const chunk = async (): Promise<EncodedChunk> => ({ encoding: 'raw', bytes })
      await store.write({ position: at(7), signature: 's', sealed: true, manifest, chunk }, signal)
      expect([await load(), installed?.items.length, (await chunks()).length]).toEqual([at(7), 4, 1])
    })

    test('go with the last checkpoint that has them', async () => {
      const store = await open({ keep: 1 })
      await write(store, 7)
      await write(store, 9, CHANGED)
      const { manifest } = await write(store, 11, OTHERS)
      await store.close()
      expect([...(await chunks())].sort()).toEqual(namesOf(manifest))
      const freed = events.flatMap((event) => (event.type === 'freed' ? [event.count] : []))
      const all = new Set([...namesOf(await manifestOf(ITEMS)), ...namesOf(await manifestOf(CHANGED))])
      expect(freed.reduce((sum, count) => sum + count, 0)).toBe(all.size)
      expect(await load()).toEqual(at(11))
    })

    test('go in the next life where this one was cut off, once no download needs them', async () => {
      await write(await open(), 7)
      await write(await open(), 9, OTHERS)
      await storage.remove(join(directory, (await files())[0]!))
      const store = await open()
      await store.load(begin, signal)
      store.chunks.clear()
      await store.close()
      expect([...(await chunks())].sort()).toEqual(namesOf(await manifestOf(OTHERS)))
      expect(await load()).toEqual(at(9))
    })

    test('stay where a checkpoint of another log or group has them', async () => {
      await write(await open({ group: 'h' }), 7)
      const store = await open({ keep: 1 })
      await store.load(begin, signal)
      await write(store, 9, OTHERS)
      store.chunks.clear()
      await store.close()
      expect(await load({ group: 'h' })).toEqual(at(7))
      expect(await load()).toEqual(at(9))
    })

    test('stay where a checkpoint is of a newer format, and may have any', async () => {
      await write(await open(), 7)
      const newer = await only()
      const bytes = await storage.read(newer)
      bytes[7] = 9
      await storage.write(newer, bytes)
      const before = await chunks()
      const store = await open()
      await store.load(begin, signal)
      await write(store, 9, OTHERS)
      store.chunks.clear()
      await store.close()
      expect(await chunks()).toEqual(expect.arrayContaining(before))
    })

    test('of a download that ended with this state are not written again', async () => {
      const store = await open()
      const { into, manifest } = await cutOf(ITEMS)
      for (const [index, { hash }] of manifest.chunks.entries())
        store.chunks.keep(hash, await into.chunk(index))
      await store.chunks.close()
      expect((await write(store, 7)).asked).toEqual([])
      store.chunks.clear()
      await store.close()
      expect(await load()).toEqual(at(7))
    })

    test('that were found damaged are written anew', async () => {
      await write(await open(), 7)
      const [damaged] = await chunks()
      await storage.write(join(directory, 'chunks', damaged!), Buffer.from('nonsense'))
      const store = await open()
      expect(await store.load(begin, signal)).toBeUndefined()
      const { asked, manifest } = await write(store, 9)
      expect(asked.map((index) => chunkName(manifest.chunks[index]!.hash))).toEqual([damaged])
      expect(await load()).toEqual(at(9))
    })

    test('that are gone are written anew', async () => {
      await write(await open(), 7)
      for (const name of await chunks()) await storage.remove(join(directory, 'chunks', name))
      const store = await open()
      expect([await store.load(begin, signal), skipped()]).toEqual([undefined, ['CheckpointDamaged']])
      await write(store, 9)
      expect(await load()).toEqual(at(9))
    })

    test('a sealed one that lacks a chunk does not count', async () => {
      await write(await open(), 7)
      for (const name of await chunks()) await storage.remove(join(directory, 'chunks', name))
      await write(await open(), 9, OTHERS, false)
      const store = await open()
      await store.load(begin, signal)
      expect([store.newest, store.newestSealed]).toEqual([9, 0])
    })
  })

  test('one that an older version wrote, as one file, is loaded and dropped like the others', async () => {
    const { into, manifest } = await cutOf(ITEMS)
    const path = join(directory, checkpointName(7, epochTag('e')))
    const chunk = (index: number) => into.chunk(index)
    const source = { group: 'g', signature: 's', position: at(7), sealed: true, manifest, chunk }
    await writeCheckpoint(path, storage, source, signal)
    const store = await open({ keep: 1 })
    expect(await store.load(begin, signal)).toEqual(at(7))
    expect(installed?.items).toEqual(ITEMS.map(String))
    expect((await write(store, 9)).asked).toHaveLength(manifest.chunks.length)
    await store.close()
    expect([await files(), await load()]).toEqual([[checkpointName(9, epochTag('e'))], at(9)])
  })

  describe('of what a crash, a disk or an operator did', () => {
    test('a file that ends anywhere is set aside, and the one before is loaded', async () => {
      await write(await open(), 7)
      const store = await open()
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
      await write(await open(), 7)
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

    test('a rotten bit anywhere in a chunk is noticed, unless it changes nothing', async () => {
      await write(await open(), 7)
      const list = await only()
      const listed = await storage.read(list)
      const path = join(directory, 'chunks', (await chunks())[1]!)
      const whole = await storage.read(path)
      for (let at = 0; at < whole.length; at += 3) {
        const rotten = Buffer.from(whole)
        rotten[at] = rotten[at]! ^ 0x10
        await storage.write(path, rotten)
        installed = undefined
        events = []
        if ((await load()) === undefined)
          expect([installed, skipped().length], `byte ${at}`).toEqual([undefined, 1])
        else expect(current()?.items, `byte ${at}`).toEqual(ITEMS.map(String))
        await storage.write(list, listed)
      }
    })

    test('what cannot be read now is left for later', async () => {
      const machine = new Machine()
      use(await simulated(machine))
      await write(await open(), 7)
      const before = [await files(), await chunks()]
      for (let calls = 0; calls < 60; calls++) {
        const store = await open()
        machine.disk.fail('EIO', calls, 'reads')
        await store.load(begin, signal).catch(() => {})
        machine.disk.mend()
        store.chunks.clear()
        await store.close()
        expect([await files(), await chunks()], `after ${calls} calls`).toEqual(before)
      }
      expect(await load()).toEqual(at(7))
    })

    test.each<[what: string, init: Partial<CheckpointStoreInit>, says: string]>([
      ['another group', { group: 'h' }, 'is of group g, and this replica is of h'],
      ['another state machine', { signatures: ['t'] }, 'is of state machine s'],
      ['another incarnation of the log', { epoch: 'f' }, 'is of epoch e'],
    ])('one of %s is reported and left where it is', async (_what, init, says) => {
      await write(await open(), 7)
      const before = await files()
      expect(await load(init)).toBeUndefined()
      expect(events.at(-1)).toMatchObject({
        type: 'skipped',
        reason: { name: 'CheckpointMismatch', message: expect.stringContaining(says) },
      })
      expect(await files()).toEqual(before)
    })

    test('one of a newer format is reported and left where it is', async () => {
      await write(await open(), 7)
      const path = await only()
      const newer = await storage.read(path)
      newer[7] = 9
      await storage.write(path, newer)
      expect(await load()).toBeUndefined()
      expect(skipped()).toEqual(['CheckpointMismatch'])
      expect(await files()).toHaveLength(1)
    })

    test('one of format 0, which nobody wrote, is damaged', async () => {
      await write(await open(), 7)
      const path = await only()
      const zero = await storage.read(path)
      zero[7] = zero[zero.length - 1] = 0
      await storage.write(path, zero)
      expect(await load()).toBeUndefined()
      expect(skipped()).toEqual(['CheckpointDamaged'])
    })

    test('what a write left behind that was cut off is removed', async () => {
      await storage.write(join(directory, '0000000000000009-00000000.checkpoint.new'), Buffer.from('half'))
      expect(await load()).toBeUndefined()
      expect(await files()).toEqual([])
    })

    test('a write that fails leaves the others, and nothing else', async () => {
      const store = await open()
      await write(store, 7)
      const source = {
        position: at(9),
        sealed: true,
        manifest: {
          control: CONTROL,
          chunks: [{ items: 1, bytes: 1, hash: new Uint8Array(32) }],
          root: CONTROL,
        },
        signature: 's',
        chunk: () => Promise.reject(new Error('no space left on device')),
      }
      await expect(store.write(source, signal)).rejects.toThrow('no space left')
      expect(await files()).toHaveLength(1)
      expect(store.newest).toBe(7)
      await write(store, 11)
      expect(await load()).toEqual(at(11))
    })

    test('a state that the machine refuses is skipped', async () => {
      await write(await open(), 7)
      const refuses: StateBuilder = { add: () => Promise.reject(new Error('no such item')), commit: () => {} }
      expect(await (await open()).load(() => refuses, signal)).toBeUndefined()
      expect(events.at(-1)).toMatchObject({ type: 'skipped', reason: { message: 'no such item' } })
    })
  })
})

describe('a checkpoint is there whole, or not at all', () => {
  test('one that was written outlives a loss of power', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const machine = new Machine(seed)
      use(await simulated(machine))
      await write(await open(), 7)
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
      await write(await open(), 7)
      const life = new Life(machine.world, 'a#9')
      storage = machine.disk.storageFor(life)
      life.onDeath(() => machine.disk.powerLoss())
      life.killAtCall(calls)
      const again = async () => {
        const store = await open()
        await store.load(begin, signal)
        await write(store, 9, CHANGED)
        await store.close()
      }
      await beforeDeath(life, again())
      storage = machine.start()
      const position = await load()
      outcomes.add(position?.index)
      const items = position?.index === 9 ? CHANGED : ITEMS
      expect([skipped(), installed?.items]).toEqual([[], items.map(String)])
      if (life.isAlive) break
    }
    expect([...outcomes].sort()).toEqual([7, 9])
  })

  test('a disk that lied is found out: what it left is no checkpoint, and the one before is loaded', async () => {
    const outcomes = new Set<number | undefined>()
    for (let seed = 0; seed < 60; seed++) {
      const machine = new Machine(seed)
      use(await simulated(machine))
      await write(await open(), 7)
      machine.disk.lieAboutFlush(true)
      await write(await open(), 9, CHANGED)
      machine.disk.powerLoss()
      storage = machine.start()
      const position = await load()
      outcomes.add(position?.index)
      expect(installed?.items).toEqual((position?.index === 9 ? CHANGED : ITEMS).map(String))
      if (skipped().length > 0) outcomes.add(-1)
    }
    expect([...outcomes].sort()).toEqual([-1, 7, 9])
  })

  test('whichever byte finds the disk full: the one before stays, and nothing else', async () => {
    const machine = new Machine()
    const { disk } = machine
    use(await simulated(machine))
    await write(await open(), 7)
    const before = [await files(), await chunks()]
    let tries = 0
    for (let isWritten = false; !isWritten && tries < 200; tries++) {
      disk.fill(tries * 37)
      const store = await open()
      await store.load(begin, signal)
      isWritten = await write(store, 9, OTHERS).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          expect(error.code).toBe('ENOSPC')
          return false
        },
      )
      disk.mend()
      if (isWritten) continue
      expect([[await files(), await chunks()], store.newest]).toEqual([before, 7])
      expect(await load()).toEqual(at(7))
    }
    expect(await load()).toEqual(at(9))
    // Each chunk, and the list.
    expect(tries).toBeGreaterThan(5)
  })
})
