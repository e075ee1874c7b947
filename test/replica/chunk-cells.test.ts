import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chunkCells } from '../../src/replica/membership/chunk-cells.ts'
import { ChunkMap } from '../../src/sync/fetching/chunks/chunk-map.ts'

/** A letter is a provider's chunk, a capital one was asked of two; `o` was here before, and `.` is not here. */
function mapOf(chunks: string): ChunkMap {
  const map = new ChunkMap()
  for (const _ of chunks) map.add(1)
  for (const [index, letter] of [...chunks].entries()) {
    if (letter !== letter.toLowerCase()) map.hedge(index)
    if (letter !== '.') map.take(index, 1, letter === 'o' ? undefined : letter.toLowerCase())
  }
  return map
}

const cells = (chunks: string, cellsMax: number, providers = ['a', 'b']) => [
  ...chunkCells(mapOf(chunks), providers, cellsMax),
]

describe('the picture of the chunks', () => {
  test.each([
    ['has a cell for each chunk while there are few', 'ab.oB', 5, [0x11, 0x12, 0, 0x10, 0x32]],
    ['has none before a chunk is known', '', 5, []],
    ['has of a cell the provider that sent most of it', 'aabbba', 2, [0x11, 0x12]],
    ['has a cell when all of it is here', 'aa.abb', 2, [0, 0x12]],
    ['shows that some of a cell was asked of two', 'aAabbb', 2, [0x31, 0x12]],
    ['has a last cell of fewer chunks', 'aaaab', 2, [0x11, 0x11]],
    ['shows one that is not listed as nobody', 'zzzab', 5, [0x10, 0x10, 0x10, 0x11, 0x12]],
    ['has one cell at least', 'ababa', 1, [0x11]],
  ])('%s', (_what, chunks, cellsMax, expected) => {
    expect(cells(chunks, cellsMax)).toEqual(expected)
  })

  test('never has more cells than it may, and each chunk is in one', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', 'o', 'A', '.'), { maxLength: 400 })
    fc.assert(
      fc.property(letters, fc.integer({ min: 1, max: 130 }), (list, cellsMax) => {
        const seen = cells(list.join(''), cellsMax)
        expect(seen.length).toBeLessThanOrEqual(cellsMax)
        expect(seen.length > 0).toBe(list.length > 0)
        const size = Math.ceil(list.length / cellsMax)
        for (const [at, cell] of seen.entries()) {
          const part = list.slice(at * size, (at + 1) * size)
          expect(part.length).toBeGreaterThan(0)
          expect(cell > 0).toBe(!part.includes('.'))
        }
      }),
    )
  })
})
