import { expect, test } from 'vitest'
import { encode, Tally } from '../../docs/examples/tally.ts'
import { Items } from '../../src/machine/items.ts'

test('the example adds up', () => {
  const tally = new Tally()
  tally.apply(encode(['apples', 3]))
  expect(tally.apply(encode(['apples', -1]))).toBe(2)
  expect(tally.total('pears')).toBe(0)
})

test('the example gives the same items for any order of its counters', () => {
  const items = (names: string[]) => {
    const tally = new Tally()
    for (const name of names) tally.apply(encode([name, 1]))
    return Array.from(tally.capture().items(), String)
  }
  expect(items(['b', 'a', '__proto__'])).toEqual(items(['a', '__proto__', 'b']))
})

test('the example catches up from a snapshot, which stays as it was captured', () => {
  const tally = new Tally()
  tally.apply(encode(['apples', 3]))
  const snapshot = tally.capture()
  tally.apply(encode(['apples', 1]))
  const other = new Tally()
  other.apply(encode(['old', 1]))
  const installation = other.install()
  for (const item of snapshot.items()) installation.add(Items.of(item))
  expect(other.total('apples')).toBe(0)
  installation.commit()
  expect([other.total('apples'), other.total('old'), snapshot.size]).toEqual([3, 0, 1])
})

test.each([
  '',
  '{}',
  'null',
  '["a"]',
  '["a",1.5]',
  '["a",1,2]',
  '[1,1]',
  '["a",1e400]',
  `["a",${2 ** 53 - 1}]`,
])('the example leaves its state untouched by %o', (text) => {
  const tally = new Tally()
  tally.apply(encode(['a', 1]))
  expect(() => tally.apply(Buffer.from(text))).toThrow(expect.objectContaining({ name: 'MalformedCommand' }))
  expect(tally.total('a')).toBe(1)
})
