import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { checkAmount, checkBytes, checkInteger, checkMs, checkText, TIMER_MS_MAX } from '../src/bounds.ts'

/** What a program in JavaScript may give by mistake. */
const MISTAKES = ['5', '', null, true, [5], {}, () => 5, Number.NaN, 5n]

const refused = (check: () => void) => expect(check).toThrow(RangeError)

describe('milliseconds', () => {
  test.each([1, 1.5, TIMER_MS_MAX])('%d is taken', (ms) => checkMs('ms', ms, 1))
  test.each([...MISTAKES, 0, 0.999, -1, 2 ** 31, Number.POSITIVE_INFINITY])('%s is refused', (ms) =>
    refused(() => checkMs('ms', ms, 1)),
  )
})

describe('an integer', () => {
  test.each([0, 7])('%d is taken', (value) => checkInteger('n', value, 0, 7))
  test.each([...MISTAKES, -1, 8, 0.5, Number.POSITIVE_INFINITY])('%s is refused', (value) =>
    refused(() => checkInteger('n', value, 0, 7)),
  )
  test('that cannot be counted with is refused', () => refused(() => checkInteger('n', 2 ** 53, 0)))
})

describe('an amount', () => {
  test.each([1, 1.5, Number.POSITIVE_INFINITY])('%d is taken', (value) => checkAmount('n', value, 1))
  test.each([...MISTAKES, 0, -1])('%s is refused', (value) => refused(() => checkAmount('n', value, 1)))
})

describe('text', () => {
  test.each(['a', 'ü', 'abc', '💾'])('%s is taken', (text) => checkText('name', text, 4))
  test.each([5, null, '', 'abcde', 'üü ', '\0', 'a\nb', '\u{85}', '\ud800'])('%j is refused', (text) =>
    refused(() => checkText('name', text, 4)),
  )
})

test('bytes are a Uint8Array, and nothing like one', () => {
  checkBytes('payload', Buffer.from('a'))
  // Of another realm, as Jest and node:vm make them.
  checkBytes('payload', runInNewContext('new Uint8Array(1)'))
  for (const other of ['a', [1], new ArrayBuffer(1), new Uint16Array(1)]) {
    refused(() => checkBytes('payload', other))
  }
})

test.each([
  [() => checkMs('leaseMs', 1, 250, 3_600_000), 'leaseMs is 1; give milliseconds from 250 to 3600000'],
  [() => checkMs('leaseMs', '1', 250), 'leaseMs is "1"; give milliseconds from 250 to 2147483647'],
  [() => checkInteger('keep', 0, 1), 'keep is 0; give an integer from 1'],
  [() => checkInteger('keep', {}, 1, 9), 'keep is an object; give an integer from 1 to 9'],
  [() => checkAmount('everyMs', -1, 1), 'everyMs is -1; give a number from 1, or Infinity'],
  [() => checkText('group', 'g'.repeat(70_000), 512), 'group has 70000 bytes of UTF-8; give from 1 to 512'],
])('the message names the option, the value and both bounds: %#', (check, message) => {
  expect(check).toThrow(message)
})
