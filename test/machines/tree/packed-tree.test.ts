import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ByteString, byteStringOf, bytesOf } from '../../../src/machine/byte-string.ts'
import { Items } from '../../../src/machine/items.ts'
import { singleRuns } from '../../../src/machine/run.ts'
import { TreeSnapshot } from '../../../src/machines/state-items.ts'
import { PackedTree } from '../../../src/machines/tree/packed-tree.ts'
import { TreeBuilder } from '../../../src/machines/tree/tree-builder.ts'
import { itemsOf } from '../../../src/snapshot/chunk.ts'
import { systemClock } from '../../../src/time/clock.ts'

/** An item as keyed trees have it: twice the key's length, the key, and the rest. */
function keyed(key: string, rest: Uint8Array): Uint8Array {
  const head = key.length < 64 ? [key.length * 2] : [((key.length * 2) & 0x7f) | 0x80, (key.length * 2) >>> 7]
  return Uint8Array.from([...head, ...Buffer.from(key, 'latin1'), ...rest])
}

function keyOf(item: string): string {
  const first = item.charCodeAt(0)
  if (first < 0x80) return item.slice(1, 1 + first / 2)
  return item.slice(2, 2 + ((first & 0x7f) | (item.charCodeAt(1) << 7)) / 2)
}

function contents(tree: PackedTree): string[] {
  return Array.from(tree.items(), (item) => byteStringOf(item))
}

/** The items as runs hand them out. */
function inRuns(tree: PackedTree): string[] {
  const items: string[] = []
  for (const { bytes, start, end, length } of singleRuns(tree.runs())) {
    for (const item of itemsOf(bytes.subarray(start, end), length)) items.push(byteStringOf(item))
  }
  return items
}

const rest = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 150 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 9_000 }).map((n) => new Uint8Array(n).fill(7)) },
  { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 200_000 }).map((n) => new Uint8Array(n).fill(9)) },
)
const place = fc.nat(1_000_000)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('insert' as const), place, rest }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('append' as const), place, rest }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('replace' as const), place, rest }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('remove' as const), place, rest }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('capture' as const), place, rest }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('thin' as const), place, rest }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('fill' as const), place, rest }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate' as const), place, rest }) },
)

/** Seeds a tree with many small items, so that it has inner nodes. */
function seeded(count: number): { tree: PackedTree; model: string[] } {
  const builder = new TreeBuilder('places')
  const items = Array.from({ length: count }, (_, i) => Buffer.from(`item ${i} ${'x'.repeat(i % 90)}`))
  if (count > 0) builder.add(Items.of(...items))
  return { tree: builder.finish(), model: items.map((item) => byteStringOf(item)) }
}

describe('a packed tree', () => {
  test('is the array that the same steps make of an array', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 30, 3_000, 20_000),
        fc.array(step, { maxLength: 60 }),
        (count, steps) => {
          const { tree, model } = seeded(count)
          const captures: { tree: PackedTree; model: string[] }[] = []
          for (const { op, place: at, rest: bytes } of steps) {
            const text = byteStringOf(bytes)
            if (op === 'insert' || op === 'append') {
              const to = op === 'append' ? model.length : at % (model.length + 1)
              tree.seekAt(to)
              expect(tree.place).toBe(to)
              tree.insert(bytes)
              model.splice(to, 0, text)
            } else if (op === 'fill') {
              for (let n = 0; n < 400; n++) {
                const to = (at + n * 37) % (model.length + 1)
                tree.seekAt(to)
                tree.insert(bytes.subarray(0, 200))
                model.splice(to, 0, text.slice(0, 200))
              }
            } else if (op === 'thin') {
              for (let n = 0; n < 300 && model.length > 0; n++) {
                const from = (at + n) % model.length
                tree.seekAt(from)
                tree.remove()
                model.splice(from, 1)
              }
            } else if (op === 'truncate') {
              const kept = Math.min(at % 8, 5) * Math.floor(model.length / 5) + (at % 3)
              tree.truncate(kept)
              model.splice(kept)
            } else if (op === 'capture') {
              captures.push({ tree: tree.capture(), model: model.slice() })
            } else if (model.length > 0) {
              const to = at % model.length
              tree.seekAt(to)
              expect(byteStringOf(tree.item())).toBe(model[to])
              if (op === 'replace') {
                tree.replace(bytes)
                model[to] = text
              } else {
                tree.remove()
                model.splice(to, 1)
              }
            }
            expect(tree.size).toBe(model.length)
          }
          for (const each of [...captures, { tree: tree.capture(), model }]) {
            expect(contents(each.tree)).toEqual(each.model)
            expect(inRuns(each.tree)).toEqual(each.model)
            const lengths = each.model.map((item) => item.length + lengthBytes(item.length))
            expect(each.tree.bytes).toBe(lengths.reduce((sum, length) => sum + length, 0))
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('finds keys, their rank, and ranges both ways', () => {
    const key = fc.oneof(
      fc.string({ maxLength: 6, unit: fc.constantFrom('a', 'b', '\u00ff', '\u0000') }),
      fc.integer({ min: 0, max: 4_000 }).map((n) => `key-${n}`),
      fc.integer({ min: 0, max: 50 }).map((n) => `${'long'.repeat(40)}${n}`),
    )
    const operation = fc.record({ key, rest, isDelete: fc.boolean(), capture: fc.boolean() })
    fc.assert(
      fc.property(fc.constantFrom(0, 2_000), fc.array(operation, { maxLength: 200 }), (count, operations) => {
        const model = new Map<string, string>()
        for (let n = 0; n < count; n++) model.set(`key-${n * 2}`, '')
        const builder = new TreeBuilder('keys')
        const sorted = [...model.keys()].sort(byBytes)
        if (count > 0) builder.add(Items.of(...sorted.map((each) => keyed(each, new Uint8Array()))))
        const tree = builder.finish()
        for (const { key, rest: bytes, isDelete, capture } of operations) {
          if (capture) tree.capture()
          const found = tree.seek(key as ByteString)
          expect(found).toBe(model.has(key))
          if (isDelete) {
            if (found) tree.remove()
            model.delete(key)
          } else {
            if (found) tree.replace(keyed(key, bytes))
            else tree.insert(keyed(key, bytes))
            model.set(key, byteStringOf(bytes))
          }
        }
        const keys = [...model.keys()].sort(byBytes)
        expect(contents(tree).map(keyOf)).toEqual(keys)
        for (const [rank, each] of keys.entries()) {
          if (rank % 7 !== 0) continue
          expect(tree.seek(each as ByteString)).toBe(true)
          expect(tree.place).toBe(rank)
          expect(tree.item()).toEqual(keyed(each, bytesOf(model.get(each)! as ByteString)))
        }
        const [from, to] = [Math.floor(keys.length / 3), Math.floor((keys.length * 2) / 3)]
        const range = (reverse: boolean) =>
          Array.from(tree.items({ from, to, reverse }), (item) => keyOf(byteStringOf(item)))
        expect(range(false)).toEqual(keys.slice(from, to))
        expect(range(true)).toEqual(keys.slice(from, to).reverse())
      }),
      { numRuns: 300 },
    )
  })

  test('gives back what is dead, and keeps its pages full', () => {
    const tree = new PackedTree('keys')
    const value = new Uint8Array(100).fill(1)
    const count = 30_000
    const keyAt = (n: number) => `key-${String((n * 7_919) % count).padStart(8, '0')}`
    for (let n = 0; n < count; n++) {
      tree.seek(keyAt(n) as ByteString)
      tree.insert(keyed(keyAt(n), value))
    }
    expect(tree.heldBytes / tree.bytes).toBeLessThan(1.35)
    for (let rank = 0; rank < count; rank += 97) {
      tree.seekAt(rank)
      expect(keyOf(byteStringOf(tree.item()))).toBe(`key-${String(rank).padStart(8, '0')}`)
    }
    for (let round = 0; round < 20; round++) {
      // A reader of each round keeps its own pages; nothing of it counts here.
      tree.capture()
      for (let n = 0; n < count; n += 10) {
        tree.seek(keyAt(n + round) as ByteString)
        tree.replace(keyed(keyAt(n + round), value.fill(round)))
      }
    }
    expect(tree.heldBytes / tree.bytes).toBeLessThan(1.6)
    expect(tree.size).toBe(count)
    for (let n = 0; n < count - 100; n++) {
      tree.seek(keyAt(n) as ByteString)
      tree.remove()
    }
    expect(tree.size).toBe(100)
    expect(tree.heldBytes).toBeLessThan(1_000_000)
  })

  test('gives back what a snapshot held, if nobody writes then', async () => {
    const { tree } = seeded(30_000)
    const held = tree.heldBytes
    const snapshot = new TreeSnapshot(tree)
    for (let place = 0; place < tree.size; place += 50) {
      tree.seekAt(place)
      tree.replace(new Uint8Array(60))
    }
    // The pages that were left are the snapshot's: nothing is moved, which would take more memory.
    expect(tree.heldBytes).toBeGreaterThan(held * 1.5)
    snapshot.release()
    for (let turn = 0; turn < 1_000 && tree.heldBytes > held * 1.4; turn++) await systemClock.turn()
    expect(tree.heldBytes).toBeLessThan(held * 1.4)
  })

  test('gives back what was behind the place at which it is cut off', () => {
    const { tree } = seeded(50_000)
    for (let n = 0; n < 20_000; n++) {
      tree.seekAt((n * 7_919) % tree.size)
      tree.insert(new Uint8Array(100))
    }
    const held = tree.heldBytes
    tree.truncate(1_000)
    expect([tree.size, contents(tree).length]).toEqual([1_000, 1_000])
    // The chunk that was installed is one slab, and most of it is dead: writes move what is left out of it.
    for (let n = 0; n < 3_000; n++) {
      tree.seekAt((n * 7_919) % tree.size)
      tree.replace(new Uint8Array(n % 150))
    }
    expect(tree.heldBytes).toBeLessThan(held / 20)
    tree.truncate(1)
    tree.truncate(0)
    expect([tree.size, tree.bytes, contents(tree)]).toEqual([0, 0, []])
  })
})

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function lengthBytes(length: number): number {
  let bytes = 1
  for (let left = length; left > 0x7f; left >>>= 7) bytes++
  return bytes
}
