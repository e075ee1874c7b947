import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { logConformance } from '../src/testing/log/index.ts'

const ROOT = dirname(import.meta.dirname)
/** Wider lines are cut or wrapped by editors side by side, and by tools that show what changed. */
const COLUMNS_MAX = 120
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

/** The blocks of one kind, such as `text`, line by line. */
function blocksOf(page: string, kind: string): string[] {
  return [...read(page).matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, 'gms'))].flatMap(([, block]) =>
    block!.trimEnd().split('\n'),
  )
}

test('docs/troubleshooting.md quotes messages as they are in the source', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT }).map(read)
  const quoted = blocksOf('docs/troubleshooting.md', 'text')
  expect(quoted.length).toBeGreaterThan(15)
  const isTold = (line: string) => {
    // What differs from case to case stands between the parts.
    const parts = line.split('…').map((part) => part.trim())
    return sources.some((source) => parts.every((part) => source.includes(part)))
  }
  expect(quoted.filter((line) => !isTold(line))).toEqual([])
})

/** Rows of tables cannot be broken, nor can a line of one word, such as an address. */
function isBreakable(line: string): boolean {
  return !/^\s*\|/.test(line) && line.trim().includes(' ')
}

test.each(PAGES)('%s has no line that could be broken and is longer than 120 columns', (page) => {
  const long = read(page)
    .split('\n')
    .flatMap((line, at) =>
      [...line].length > COLUMNS_MAX && isBreakable(line) ? [`${at + 1}: ${line}`] : [],
    )
  expect(long).toEqual([])
})

test('no two files of docs/ are one where case does not count, as on macOS and Windows', () => {
  const names = globSync('docs/**', { cwd: ROOT })
  const folded = Map.groupBy(names, (name) => name.toLowerCase())
  expect([...folded.values()].filter((same) => same.length > 1)).toEqual([])
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
