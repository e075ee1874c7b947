import { expect, test } from 'vitest'
import { PackedTree } from '../../../src/machines/tree/packed-tree.ts'
import { systemClock } from '../../../src/time/clock.ts'

function filled(count: number, bytes: number): PackedTree {
  const tree = new PackedTree('places')
  for (let i = 0; i < count; i++) {
    tree.seekAt(i)
    tree.insert(new Uint8Array(bytes))
  }
  return tree
}

/** What is held beyond what is live is at most a slab and a half, and what pages leave free. */
async function expectTight(tree: PackedTree): Promise<void> {
  for (let n = 0; n < 50; n++) await systemClock.turn()
  expect(tree.heldBytes).toBeLessThan(tree.bytes * 3 + 1_500_000)
}

test.each([
  [5_000, 2_000, 8],
  [50_000, 100, 0],
  [1_000, 16_000, 8],
  [100, 100_000, 8],
])('%i items of %i bytes that become %i bytes give their memory back', async (count, bytes, after) => {
  const tree = filled(count, bytes)
  expect(tree.heldBytes).toBeGreaterThan(4_000_000)
  for (let i = 0; i < count; i++) {
    tree.seekAt(i)
    tree.replace(new Uint8Array(after))
  }
  await expectTight(tree)
})

test('pages of large items of which most are removed give their memory back', async () => {
  const tree = filled(5_000, 2_000)
  for (let i = tree.size - 1; i >= 0; i--) {
    if (i % 8 === 0) continue
    tree.seekAt(i)
    tree.remove()
  }
  expect(tree.size).toBe(625)
  await expectTight(tree)
})

test('a tree that loses its only item, a large one, gives its page back', () => {
  const tree = filled(1, 1_000_000)
  tree.seekAt(0)
  tree.remove()
  // The new page lies in a slab of 256 KiB, as a large tree has them.
  expect(tree.heldBytes).toBeLessThan(300_000)
  tree.seekAt(0)
  tree.insert(Uint8Array.of(1))
  expect([...tree.items()]).toEqual([Uint8Array.of(1)])
})
