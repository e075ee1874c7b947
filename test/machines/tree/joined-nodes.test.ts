import { expect, test } from 'vitest'
import type { ByteString } from '../../../src/machine/byte-string.ts'
import { Items } from '../../../src/machine/items.ts'
import { TreeBuilder } from '../../../src/machines/tree/tree-builder.ts'

const COUNT = 3_000

/** Keys in order, with room for nine between two of them. */
function key(n: number): ByteString {
  return `k${String(n).padStart(7, '0')}` as ByteString
}

function keyed(n: number): Uint8Array {
  return Buffer.concat([Uint8Array.of(key(n).length * 2), Buffer.from(key(n)), new Uint8Array(1000)])
}

test('a key that came where a node had lost its first leaf is found after the node is joined', () => {
  const builder = new TreeBuilder('keys')
  builder.add(Items.of(...Array.from({ length: COUNT }, (_, i) => keyed(i * 10))))
  const { leaves, nodes } = shapeOf(builder.finish())
  expect(nodes).toBeGreaterThan(2)
  for (let node = 1; node < nodes; node++) {
    const again = new TreeBuilder('keys')
    again.add(Items.of(...Array.from({ length: COUNT }, (_, i) => keyed(i * 10))))
    const tree = again.finish()
    const removeFrom = (from: number, to: number) => {
      for (let n = leaves[from]!; n < leaves[to]!; n += 10) if (tree.seek(key(n))) tree.remove()
    }
    const borders = [node - 1, node, node + 1].map((n) => Math.floor((n * leaves.length) / nodes))
    const [before, first, next] = borders as [number, number, number]
    removeFrom(first, first + 1)
    const added = leaves[first]! + 1
    expect(tree.seek(key(added))).toBe(false)
    tree.insert(keyed(added))
    removeFrom(before + 5, first - 3)
    removeFrom(first + 3, next - 3)
    expect([node, tree.seek(key(added))]).toEqual([node, true])
    const found = Array.from(tree.items(), (item) => Buffer.from(item.subarray(1, 9)).toString('latin1'))
    expect(found).toEqual(found.toSorted())
    for (const each of found) expect([each, tree.seek(each as ByteString)]).toEqual([each, true])
  }
})

/** The first key of each leaf, as a number, and how many nodes are above the leaves. */
function shapeOf(tree: ReturnType<TreeBuilder['finish']>): { leaves: number[]; nodes: number } {
  const leaves = Array.from(tree.leaves(), ({ leaf }) => Number(leaf.keyAt(0).slice(1)))
  return { leaves, nodes: Math.ceil(leaves.length / 56) }
}
