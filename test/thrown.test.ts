import { expect, test } from 'vitest'
import { asError, ThrownValue } from '../src/thrown.ts'

test('an error stays what it is', () => {
  const error = new RangeError('too large')
  expect(asError(error)).toBe(error)
})

test.each<[thrown: unknown, told: string]>([
  ['a word', 'a word'],
  [undefined, 'undefined'],
  [{ code: 42 }, '{ code: 42 }'],
  [new Event('close'), "Event { type: 'close'"],
  ['x'.repeat(1_000), 'x'.repeat(200)],
])('what is none is told for what it is: %o', (thrown, told) => {
  const error = asError(thrown)
  expect(error).toBeInstanceOf(ThrownValue)
  expect(error).toMatchObject({ name: 'ThrownValue', value: thrown })
  expect(error.message.startsWith(told)).toBe(true)
  expect(error.message.length).toBeLessThanOrEqual(200)
})
