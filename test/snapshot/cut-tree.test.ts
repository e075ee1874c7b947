import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Snapshot } from '../../src/machine/machine.ts'
import { PackedTree } from '../../src/machines/tree/packed-tree.ts'
import { TreeBuilder } from '../../src/machines/tree/tree-builder.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutHistory } from '../../src/snapshot/cut-history.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { rawCoder } from './raw-coder.ts'

async function cutOf(
  snapshot: Omit<Snapshot, 'release'>,
  chunkBytes: number,
  history?: CutHistory,
): Promise<CutSnapshot> {
  const into = new CutSnapshot(rawCoder)
  const { signal } = new AbortController()
  const options = { control: new Uint8Array(), chunkBytes, clock: new VirtualClock(), signal, history }
  await cut({ ...snapshot, release: () => {} }, into, options)
  return into
}

/** A captured tree as a snapshot, in runs and item by item. */
function snapshotOf(tree: PackedTree) {
  const items = () => tree.items()
  return { packed: { size: tree.size, items, runs: () => tree.runs() }, plain: { size: tree.size, items } }
}

function write(tree: PackedTree, place: number, item: Uint8Array, isNew: boolean): void {
  tree.seekAt(place % (tree.size + (isNew ? 1 : 0)))
  if (isNew) tree.insert(item)
  else tree.replace(item)
}

/** The state that a joiner builds of the chunks. */
async function installed(chunks: CutSnapshot): Promise<PackedTree> {
  const builder = new TreeBuilder('places')
  for (const [index, { items }] of chunks.infos.entries())
    builder.add(itemsOf(await chunks.raw(index), items))
  return builder.finish()
}

const writes = fc.array(
  fc.record({
    place: fc.nat(),
    item: fc.uint8Array({ maxLength: 300 }),
    isNew: fc.boolean(),
  }),
  { minLength: 1, maxLength: 150 },
)

test('a packed tree is cut as its items are, after any writes, on whoever installed it, and while it is written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(writes, { maxLength: 5 }),
      fc.integer({ min: 1, max: 9_000 }),
      async (rounds, bytes) => {
        let tree = new PackedTree('places')
        const history = new CutHistory()
        const cuts: CutSnapshot[] = []
        for (const [n, round] of rounds.entries()) {
          for (const { place, item, isNew } of round) write(tree, place, item, isNew || tree.size === 0)
          const { packed, plain } = snapshotOf(tree.capture())
          const cutting = cutOf(packed, bytes, history)
          for (const { place, item, isNew } of round) write(tree, place + 1, item, isNew)
          const chunks = await cutting
          expect(chunks.manifest).toEqual((await cutOf(plain, bytes)).manifest)
          cuts.push(chunks)
          if (n % 2 === 1) tree = await installed(chunks)
        }
        for (const cut of cuts) {
          for (const [index, { hash }] of cut.infos.entries())
            expect(chunkHash(await cut.raw(index))).toEqual(hash)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('when some neighbours of a tree were replaced, the other chunks are taken over', async () => {
  const tree = new PackedTree('places')
  for (let n = 0; n < 20_000; n++) write(tree, n * 7919, Buffer.from(`item ${n} ${'x'.repeat(80)}`), true)
  const history = new CutHistory()
  const { infos } = await cutOf(snapshotOf(tree.capture()).packed, 32_768, history)
  for (let n = 0; n < 200; n++) write(tree, 9_000 + n, Buffer.from(`other ${n} ${'x'.repeat(80)}`), false)
  const { packed, plain } = snapshotOf(tree.capture())
  const again = await cutOf(packed, 32_768, history)
  expect(again.manifest).toEqual((await cutOf(plain, 32_768)).manifest)
  expect(infos.length).toBeGreaterThan(40)
  expect(again.infos.filter((info) => !infos.includes(info)).length).toBeLessThanOrEqual(6)
})
