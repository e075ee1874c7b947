import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { logConformance } from '../src/testing/log/index.ts'

const ROOT = dirname(import.meta.dirname)
const PAGES = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT })]
/** What is in the package beside dist/, which pages do not link to. */
const PACKED = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  .files.filter((name: string) => name !== 'dist')
  .concat('README.md', 'package.json') as readonly string[]

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

/** Without blocks of code, which hold no links. */
function prose(page: string): string {
  return read(page).replaceAll(/^```.*?^```/gms, '')
}

function linksOf(page: string): string[] {
  const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
  return links.filter((link) => !/^[a-z]+:/.test(link))
}

/** The anchors of a page's headings, as GitHub and npm make them. */
function anchorsOf(page: string): string[] {
  return [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test.each(PAGES)('%s links only to what is in the package', (page) => {
  const wrong = linksOf(page).filter((link) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path))
    const isPacked = PACKED.some((name) => target === name || target.startsWith(`${name}/`))
    if (!isPacked || !existsSync(join(ROOT, target))) return true
    return anchor !== undefined && !anchorsOf(target).includes(anchor)
  })
  expect(wrong).toEqual([])
})

test('each group of the tests of a log is named beside the rules that it holds, and no other is', () => {
  const [, after = ''] = read('docs/writing-a-log.md').split('## The rules')
  const [rules = ''] = after.split('\n## ')
  const named = [...rules.matchAll(/Held by ([^.]+)\./g)].flatMap(([, list]) =>
    [...list!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!.replace(/\s+/g, ' ')),
  )
  const harness = { make: () => Promise.reject(new Error('it is only asked for its tests')) }
  const groups = logConformance(harness).map(({ group }) => group)
  expect(new Set([...named, 'messages'])).toEqual(new Set(groups))
})
