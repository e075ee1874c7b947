import { expect, test } from 'vitest'
import { ChunkMap } from '../../src/sync/fetching/chunks/chunk-map.ts'

function mapOf(chunks: number): ChunkMap {
  const map = new ChunkMap()
  for (let n = 0; n < chunks; n++) map.add(10)
  return map
}

test('a chunk is not here, then here, of the peer that sent it or of nobody', () => {
  const map = mapOf(3)
  map.take(0, 10, 'a')
  map.take(1, 10, undefined)
  expect([0, 1, 2].map((index) => map.at(index))).toEqual([
    { isHere: true, peer: 'a', isHedged: false },
    { isHere: true, peer: undefined, isHedged: false },
    { isHere: false, peer: undefined, isHedged: false },
  ])
  expect([map.length, map.bytes, map.here, map.hereBytes]).toEqual([3, 30, 2, 20])
})

test('a chunk that was asked of two stays marked, whoever sends it', () => {
  const map = mapOf(2)
  map.hedge(1)
  expect(map.at(1)).toEqual({ isHere: false, peer: undefined, isHedged: true })
  map.take(1, 10, 'b')
  expect(map.at(1)).toEqual({ isHere: true, peer: 'b', isHedged: true })
})

test('providers are counted, in the order of their first chunks', () => {
  const map = mapOf(1_000)
  for (let n = 0; n < 1_000; n++) map.take(n, 10, n % 4 === 0 ? 'b' : 'a')
  expect(map.providers).toEqual([
    { peer: 'b', chunks: 250 },
    { peer: 'a', chunks: 750 },
  ])
  expect(map.at(999)).toEqual({ isHere: true, peer: 'a', isHedged: false })
})

test('each change shows', () => {
  const map = mapOf(1)
  const seen = [map.changes]
  map.hedge(0)
  seen.push(map.changes)
  map.take(0, 10, 'a')
  seen.push(map.changes)
  expect(new Set(seen).size).toBe(3)
})

test('a chunk that is not listed is nowhere', () => {
  const map = mapOf(1)
  for (const index of [-1, 1, Number.NaN]) expect(() => map.at(index)).toThrow(RangeError)
  expect(() => map.take(1, 10, 'a')).toThrow(RangeError)
})
