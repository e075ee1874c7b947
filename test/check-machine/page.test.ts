import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { REMEDIES } from '../../src/testing/check-machine/machine-fault.ts'

const docs = new URL('../../docs/', import.meta.url)
const pageOf = (name: string) => readFileSync(new URL(name, docs), 'utf8')
const squeezed = (text: string) => text.replaceAll(/\s+/g, ' ').trim()
const examples = readdirSync(new URL('examples/', docs))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => squeezed(pageOf(`examples/${name}`)))
const blocks = ['testing-your-machine.md', 'upgrades.md'].flatMap((name) =>
  Array.from(pageOf(name).matchAll(/^```ts\n(.*?)^```$/gms), ([, code = '']) => ({ name, code })),
)

test.each(blocks)('this code of $name is in an example, which is run: $code', ({ code }) => {
  for (const part of code.split(/\n\n(?=\/\*\*)/)) {
    const wanted = squeezed(part)
    expect(examples.some((example) => example.includes(wanted))).toBe(true)
  }
})

test('the page has a row for each check', () => {
  for (const check of Object.keys(REMEDIES))
    expect(pageOf('testing-your-machine.md')).toMatch(new RegExp(`^\\| \`${check}\` \\| `, 'm'))
})
