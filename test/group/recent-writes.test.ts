import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RECENT_WRITES_MAX, RecentWrites } from '../../src/group/recent-writes.ts'

const command = Buffer.from('x')
const key = (of: string | number) => Buffer.from(String(of))

test('a key is remembered by a hash, with the index of its entry', () => {
  const writes = new RecentWrites()
  writes.applied(7, key('order 1'))
  const name = createHash('sha256').update('order 1').digest().subarray(0, 16)
  expect(writes.keyed).toEqual([{ key: name, index: 7 }])
  expect([writes.indexOf(key('order 1')), writes.indexOf(key('order 2'))]).toEqual([7, undefined])
})

test('a write whose key was applied is repeated, even if its other condition is not met', () => {
  const writes = new RecentWrites()
  writes.applied(7, key('a'))
  writes.applied(8)
  expect(writes.judge({ command, key: key('a'), expect: 6 })).toEqual({ type: 'repeated', first: 7 })
  expect(writes.judge({ command, key: key('b'), expect: 7 })).toEqual({
    type: 'conflict',
    expected: 7,
    newest: 8,
  })
  expect(writes.judge({ command, key: key('b'), expect: 8 })).toMatchObject({ type: 'met' })
})

test.each([
  [7, 'conflict'],
  [8, 'met'],
  [9, 'met'],
])('after a command at 8, one that expects none after %i is judged: %s', (expected, type) => {
  const writes = new RecentWrites()
  writes.applied(8)
  expect(writes.judge({ command, expect: expected })).toMatchObject({ type })
})

test('the newest keys are kept, in the order of the log, whatever was written without one', () => {
  const writes = new RecentWrites()
  const count = RECENT_WRITES_MAX + 3
  for (let index = 1; index <= count; index++) {
    writes.applied(2 * index, key(index))
    writes.applied(2 * index + 1)
  }
  const indexes = writes.keyed.map(({ index }) => index)
  expect(indexes).toEqual(Array.from({ length: RECENT_WRITES_MAX }, (_, i) => 2 * (i + 4)))
  expect([3, 4].map((index) => writes.indexOf(key(index)))).toEqual([undefined, 8])
  // One that has them from another goes on alike, with a window that is full.
  const joiner = new RecentWrites()
  joiner.restore(writes.newest, writes.keyed)
  for (const one of [writes, joiner]) one.applied(9_000, key('new'))
  expect(joiner.keyed).toEqual(writes.keyed)
  expect([4, 5, 'new'].map((of) => joiner.indexOf(key(of)))).toEqual([undefined, 10, 9_000])
})

test('one that goes on from what another had judges as that one does, from then on', () => {
  const write = fc.record({
    key: fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined }),
    back: fc.option(fc.nat(3), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(write, { maxLength: 30 }), fc.nat(30), (all, joinsAt) => {
      const founder = new RecentWrites()
      const joiner = new RecentWrites()
      for (const [at, { key: name, back }] of all.entries()) {
        if (at === joinsAt) joiner.restore(founder.newest, founder.keyed)
        const guarded = {
          command,
          ...(name !== undefined && { key: key(name) }),
          ...(back !== undefined && { expect: at - back }),
        }
        for (const one of at >= joinsAt ? [founder, joiner] : [founder])
          if (one.judge(guarded).type === 'met') one.applied(at + 1, guarded.key)
      }
      if (joinsAt >= all.length) return
      expect([joiner.newest, joiner.keyed]).toEqual([founder.newest, founder.keyed])
    }),
  )
})
