import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MAIN } from '../cli/anchorage.ts'
import { followAll } from './follow.ts'
import { DEMO, OWN_CODE, shapesOf, stepsOf } from './readme.ts'
import { sourcesIn } from './sources.ts'
import { Terminals } from './terminals.ts'

const ROOT = new URL('../../', import.meta.url)
const README = readFileSync(new URL('README.md', ROOT), 'utf8')
const LINES_MAX = 228
const TIMEOUT_MS = 300_000

let folder: string
let terminals: Terminals
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'readme-'))
  terminals = new Terminals(sourcesIn(folder))
})
afterAll(async () => {
  await terminals[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

test('is short enough to be read', () => {
  expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(LINES_MAX)
})

test('what it shows of a program is in that program', () => {
  const blocks = [...README.matchAll(/^```ts(?: from=(\S+))?\n(.*?)^```/gms)]
  expect(blocks.length).toBeGreaterThan(1)
  for (const [, name = '(none is named)', body] of blocks) {
    const path = name.startsWith('docs/') ? name : `src/cli/init/template/${name}`
    expect(readFileSync(new URL(path, ROOT), 'utf8'), name).toContain(body)
  }
})

test('its node for production takes the flags that are shown', () => {
  const [, command] = /^npx anchorage node ((?:.*\\\n)*.*)/m.exec(README)!
  const flags = [...command!.matchAll(/--[a-z-]+/g)].map(([flag]) => flag)
  expect(flags.length).toBeGreaterThan(5)
  const known = ['global', 'node'].map((topic) =>
    execFileSync(process.execPath, [MAIN, 'help', topic], { encoding: 'utf8' }),
  )
  expect(flags.filter((flag) => !known.some((help) => help.includes(` ${flag} <`)))).toEqual([])
})

test('a smaller demo prints the lines that the page shows, with other figures', {
  timeout: TIMEOUT_MS,
}, async () => {
  const [demo, ...more] = stepsOf(README, DEMO)
  expect(more).toEqual([])
  if (demo?.kind !== 'run') throw new Error('the first block runs the demo')
  expect(demo.body).toMatch(/npm run demo\n$/)
  expect(demo.prints).toHaveLength(10)
  const small = `"${process.execPath}" "${MAIN}" demo --items 20000 --history 4`
  await terminals.run(small, shapesOf(demo.prints))
})

test('the three commands make a map in two terminals, and one of them catches up after a prune', {
  timeout: TIMEOUT_MS,
}, async () => {
  await followAll(stepsOf(README, OWN_CODE), terminals)
})
