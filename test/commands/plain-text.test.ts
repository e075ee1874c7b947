import { expect, test } from 'vitest'
import { plainJson, plainText } from '../../src/plain-text.ts'

test('a terminal finds nothing to obey in a text of others', () => {
  expect(plainText('\x1b[2J\x1b]0;title\x07')).toBe('\\x1b[2J\\x1b]0;title\\x07')
  // The same for a terminal that takes the controls of 8 bits, and what would write over the line.
  expect(plainText('\x9b2J\x7f\b\r\n\t')).toBe('\\x9b2J\\x7f\\x08\\r\\n\\t')
  // Marks of direction have what follows them read backwards.
  expect(plainText('a\u202eb\u2066\u2028\u{e0001}')).toBe('a\\u202eb\\u2066\\u2028\\u{e0001}')
  expect(plainText('half \ud83d')).toBe('half \\ud83d')
})

test('texts of any script stay as they are', () => {
  for (const text of ['Zürich, 東京', '👩\u200d💻 and 🏳️', 'نمی\u200cخواهم', 'back\\slash "quotes"', ''])
    expect(plainText(text)).toBe(text)
})

test('JSON is parsed to the same, and shows nothing to obey', () => {
  const value = { '\x9b': '\x7f\u202e\u{e0001}', b: ['\x1b[2J\n', 'Zürich 👩\u200d💻'] }
  const json = plainJson(JSON.stringify(value))
  expect(JSON.parse(json)).toEqual(value)
  expect(json).toBe('{"\\u009b":"\\u007f\\u202e\\udb40\\udc01","b":["\\u001b[2J\\n","Zürich 👩\u200d💻"]}')
})
