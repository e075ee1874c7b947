import { expect, test } from 'vitest'
import { PackedTree } from '../../../src/machines/tree/packed-tree.ts'

test('an item that grows in a large page does not push the next one beyond where words reach', () => {
  const tree = new PackedTree('places')
  tree.insert(new Uint8Array(300_000))
  tree.seekAt(0)
  // More than 32 KiB: it stays in its page of 300,000 bytes, in which there is now room for another item.
  tree.replace(new Uint8Array(40_000).fill(1))
  tree.seekAt(1)
  tree.insert(Uint8Array.of(7, 8, 9))
  tree.seekAt(0)
  tree.replace(new Uint8Array(100_000).fill(2))
  const items = Array.from(tree.items(), (item) => [item.length, item[0]])
  expect(items).toEqual([
    [100_000, 2],
    [3, 7],
  ])
})
