import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { transformIn } from '../../src/cli/transform-module.ts'

test('the transform that the page on operations shows works', async () => {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [, code] = /```ts\n(\/\/ without-drafts\.ts\n.*?)```/s.exec(page)!
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-transform-'))
  try {
    const path = join(dir, 'without-drafts.ts')
    await writeFile(path, code!)
    const { items, signature } = await transformIn(path)
    expect(signature).toBe('articles/2')
    const articles = ['{"id":1}', '{"id":2,"draft":true}', '{"id":3,"draft":false}']
    const source = { group: 'g', signature: 'articles/1', position: { epoch: 'e', index: 1 }, timeMs: 0 }
    const kept: string[] = []
    for await (const item of items(stream(articles), source)) kept.push(Buffer.from(item).toString())
    expect(kept).toEqual([articles[0], articles[2]])
  } finally {
    await rm(dir, { recursive: true })
  }
})

async function* stream(texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text)
}
