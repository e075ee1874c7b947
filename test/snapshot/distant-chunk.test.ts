import { expect, test } from 'vitest'
import type { Places } from '../../src/machine/machine.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { DistantBasis } from '../../src/snapshot/distant-basis.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import { decodeHints, hintsOf } from '../../src/snapshot/hints.ts'
import { systemClock } from '../../src/time/clock.ts'
import { ItemSnapshot, numberedItems } from './item-snapshot.ts'
import { rawCoder } from './raw-coder.ts'

const OPTIONS = {
  control: Buffer.from('c'),
  chunkBytes: 4_000,
  clock: systemClock,
  signal: AbortSignal.any([]),
}
const ITEMS = numberedItems(20_000, 40)

/** A snapshot whose items are on a disk: `reads` counts how often it was looked for a place. */
class DiskSnapshot extends ItemSnapshot {
  reads = 0
  onDisk = ITEMS
  readonly places: Places = {
    of: (item) => Uint8Array.from(item),
    from: (place) => {
      this.reads++
      if (this.released > 0) throw new Error('read after its release')
      const index = ITEMS.findIndex((item) => Buffer.compare(item, place) === 0)
      return this.onDisk.slice(index)
    },
  }
}

async function cutOf(snapshot: ItemSnapshot, coder = zstdCoder): Promise<CutSnapshot> {
  const into = new CutSnapshot(coder)
  await cut(snapshot, into, OPTIONS)
  return into
}

test.each([zstdCoder, rawCoder])('a state on the disk is cut and sent as one in memory is', async (coder) => {
  const [near, far] = [new ItemSnapshot(ITEMS), new DiskSnapshot(ITEMS)]
  const [one, other] = [await cutOf(near, coder), await cutOf(far, coder)]
  expect(other.manifest).toEqual(one.manifest)
  expect(other.infos.length).toBeGreaterThan(100)
  for (const index of [0, 57, other.infos.length - 1]) {
    expect(Buffer.compare(await other.raw(index), await one.raw(index))).toBe(0)
    expect(await coder.decode(await other.chunk(index), one.infos[index]!.bytes)).toEqual(
      await one.raw(index),
    )
    const hints = hintsOf(itemsOf(await one.raw(index), one.infos[index]!.items))
    expect(decodeHints(await other.hints(index))).toEqual(hints)
    expect(await other.pick(index, [1, 2])).toEqual(await one.pick(index, [1, 2]))
  }
})

test('nothing of it is kept but the newest chunks that were asked for, and it is released at the end', async () => {
  const snapshot = new DiskSnapshot(ITEMS)
  const chunks = await cutOf(snapshot)
  expect([snapshot.reads, snapshot.released]).toEqual([0, 0])
  for (let round = 0; round < 3; round++) await Promise.all([chunks.chunk(5), chunks.chunk(5)])
  expect(snapshot.reads).toBe(1)
  for (let index = 0; index < 50; index++) await chunks.chunk(index)
  expect(snapshot.reads).toBe(50)
  await chunks.chunk(5)
  expect(snapshot.reads).toBe(51)
  expect(chunks.release()).toBe(0)
  expect([snapshot.released, snapshot.breaches]).toEqual([1, []])
})

test('a machine that reads its snapshot otherwise than before is found out, and may do better', async () => {
  const snapshot = new DiskSnapshot(ITEMS)
  const chunks = await cutOf(snapshot)
  snapshot.onDisk = ITEMS.slice(0, 10)
  await expect(chunks.chunk(0)).rejects.toMatchObject({ name: 'MalformedChunk' })
  snapshot.onDisk = ITEMS
  expect(await chunks.raw(0)).toBeDefined()
  chunks.release()
})

test('a joiner finds whole chunks in it again, and reads them when they are needed', async () => {
  const snapshot = new DiskSnapshot(ITEMS)
  const basis = await DistantBasis.of(snapshot, { ...OPTIONS, enough: AbortSignal.any([]) })
  const chunks = await cutOf(new DiskSnapshot(ITEMS))
  const [{ hash }, other] = [chunks.infos[3]!, Buffer.alloc(32)]
  expect([basis.isEmpty, basis.has(hash), basis.has(other), snapshot.reads]).toEqual([false, true, false, 0])
  expect(await basis.read(hash)).toEqual(await chunks.raw(3))
  expect(await basis.read(other)).toBeUndefined()
  basis.release()
  expect([basis.isEmpty, snapshot.released]).toEqual([true, 1])
})

test('what was not cut when it took long enough is not found, and a cut that is not wanted is released', async () => {
  const snapshot = new DiskSnapshot(ITEMS)
  const enough = AbortSignal.abort(new Error('enough'))
  const basis = await DistantBasis.of(snapshot, { ...OPTIONS, enough })
  expect([basis.isEmpty, snapshot.released]).toEqual([true, 0])
  basis.release()
  const signal = AbortSignal.abort(new Error('stopped'))
  const unwanted = new DiskSnapshot(ITEMS)
  const options = { ...OPTIONS, signal, enough: AbortSignal.any([]) }
  await expect(DistantBasis.of(unwanted, options)).rejects.toThrow('stopped')
  expect(unwanted.released).toBe(1)
})
