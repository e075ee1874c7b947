import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))

test('docs/README.md has each page of docs/ in one of its tables, once; examples have one of their own', () => {
  const map = readFileSync(`${DOCS}README.md`, 'utf8')
  const listed = [...map.matchAll(/^\| \[[^\]]+\]\((\S+\.md)\) \|/gm)].map(([, page]) => page!)
  const pages = globSync('**/*.md', { cwd: DOCS }).filter(
    (page) => page !== 'README.md' && !/^examples\/.+\//.test(page),
  )
  expect(listed.sort()).toEqual(pages.sort())
})
