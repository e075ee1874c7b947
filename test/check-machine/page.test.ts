import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { REMEDIES } from '../../src/testing/check-machine/machine-fault.ts'

const docs = new URL('../../docs/', import.meta.url)
const page = readFileSync(new URL('testing-your-machine.md', docs), 'utf8')
const squeezed = (text: string) => text.replaceAll(/\s+/g, ' ').trim()
const examples = readdirSync(new URL('examples/', docs)).map((name) =>
  squeezed(readFileSync(new URL(`examples/${name}`, docs), 'utf8')),
)
const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = '']) => code)

test.each(blocks.map((code) => [code]))(
  'this code of the page is in an example, which is run: %s',
  (code) => {
    for (const part of code.split('\n\n/**')) {
      const wanted = squeezed(part.replace(/^ /, '/** '))
      expect(examples.some((example) => example.includes(wanted))).toBe(true)
    }
  },
)

test('the page has a row for each check', () => {
  for (const check of Object.keys(REMEDIES)) expect(page).toMatch(new RegExp(`^\\| \`${check}\` \\| `, 'm'))
})
