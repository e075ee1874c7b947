import { expect, test } from 'vitest'
import { nanosOf } from '../../../src/log/jetstream/server-time.ts'
import { covers, isSubject } from '../../../src/log/jetstream/subjects.ts'

test.each([
  ['a', 'a', true],
  ['a', 'b', false],
  ['a.b', 'a', false],
  ['a', 'a.b', false],
  ['a.*', 'a.b', true],
  ['a.*', 'a', false],
  ['a.*', 'a.b.c', false],
  ['*.b', 'a.b', true],
  ['a.*.c', 'a.b.c', true],
  ['a.>', 'a', false],
  ['a.>', 'a.b', true],
  ['a.>', 'a.b.c', true],
  ['>', 'a', true],
])('%s covers %s: %s', (pattern, subject, expected) => {
  expect(covers(pattern, subject)).toBe(expected)
})

test.each([
  ['a', true],
  ['a.b-c.7', true],
  ['', false],
  ['a.', false],
  ['.a', false],
  ['a..b', false],
  ['a b', false],
  ['a.*', false],
  ['>', false],
  ['a\tb', false],
])('%j is a subject: %s', (text, expected) => {
  expect(isSubject(text)).toBe(expected)
})

test.each([
  ['2026-11-30T00:43:07.068588122Z', '1795999387068588122'],
  ['2026-11-30T00:43:07.0685Z', '1795999387068500000'],
  ['2026-11-30T00:43:07Z', '1795999387000000000'],
])("a server's time %s is %s ns", (time, expected) => {
  expect(nanosOf(time)).toBe(expected)
})
