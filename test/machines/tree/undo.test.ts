import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PackedTree } from '../../../src/machines/tree/packed-tree.ts'

interface Write {
  readonly deed: 'insert' | 'replace' | 'remove' | 'truncate' | 'clear' | 'capture'
  readonly place: number
  readonly bytes: number
}

const write: fc.Arbitrary<Write> = fc.record({
  deed: fc.oneof(
    { weight: 30, arbitrary: fc.constant('insert' as const) },
    { weight: 20, arbitrary: fc.constant('replace' as const) },
    { weight: 25, arbitrary: fc.constant('remove' as const) },
    { weight: 1, arbitrary: fc.constant('truncate' as const) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
    { weight: 2, arbitrary: fc.constant('capture' as const) },
  ),
  place: fc.nat(),
  bytes: fc.oneof(fc.nat(30), fc.nat(600), fc.constant(5000)),
})
const writes = (maxLength: number) => fc.array(write, { maxLength, size: 'max' })

function make(tree: PackedTree, { deed, place, bytes }: Write, nth: number): void {
  const item = new Uint8Array(bytes).fill(nth)
  if (deed === 'insert') {
    tree.seekAt(place % (tree.size + 1))
    tree.insert(item)
  } else if (deed === 'truncate') tree.truncate(place % (tree.size + 1))
  else if (deed === 'clear') tree.clear()
  else if (deed === 'capture') tree.capture()
  else if (tree.size > 0) {
    tree.seekAt(place % tree.size)
    if (deed === 'replace') tree.replace(item)
    else tree.remove()
  }
}

const contents = (tree: PackedTree) =>
  Array.from(tree.items(), (item) => Buffer.from(item).toString('latin1'))

test('what was written in a transaction is undone, and what comes after it works', () => {
  fc.assert(
    fc.property(writes(300), writes(60), writes(60), (before, undone, after) => {
      const tree = new PackedTree('places')
      const witness = new PackedTree('places')
      for (const [i, one] of before.entries()) for (const each of [tree, witness]) make(each, one, i)
      const reader = tree.capture()
      const expected = contents(tree)
      tree.begin()
      for (const [i, one] of undone.entries()) make(tree, one, i + 100)
      tree.rollback()
      expect(contents(tree)).toEqual(expected)
      expect(tree.bytes).toBe(witness.bytes)
      expect(tree.heldBytes).toBeGreaterThanOrEqual(tree.bytes)
      for (const [i, one] of after.entries()) for (const each of [tree, witness]) make(each, one, i + 200)
      expect(contents(tree)).toEqual(contents(witness))
      expect(contents(reader)).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

test('what was committed stays, and no later rollback touches it', () => {
  const tree = new PackedTree('places')
  tree.begin()
  make(tree, { deed: 'insert', place: 0, bytes: 3 }, 1)
  tree.commit()
  tree.rollback()
  tree.begin()
  make(tree, { deed: 'insert', place: 1, bytes: 3 }, 2)
  tree.rollback()
  expect(contents(tree)).toEqual(['\x01\x01\x01'])
})
