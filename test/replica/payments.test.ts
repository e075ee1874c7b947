import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { main } from '../../docs/examples/payments.ts'
import { RECENT_WRITES_MAX } from '../../src/group/recent-writes.ts'
import { WRITE_KEY_BYTES_MAX } from '../../src/replica/following/submissions.ts'

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
const page = read('writes.md')

test('the example pays each order once, and doubles what is there', async () => {
  const said: string[] = []
  await main((text) => said.push(text))
  expect(said).toEqual(['bob has 500; the second order was repeated', 'bob has 1002'])
})

test('the code of the page on writes is that of the example', () => {
  const example = read('examples/payments.ts')
  const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = '']) => code)
  expect(blocks.length).toBe(2)
  for (const code of blocks) expect(example).toContain(code)
})

test('the limits that the page names are those of the code', () => {
  expect(page).toContain(`the newest ${RECENT_WRITES_MAX.toLocaleString('en')} keys`)
  expect(page).toContain(`of 1 to ${WRITE_KEY_BYTES_MAX} bytes`)
})
