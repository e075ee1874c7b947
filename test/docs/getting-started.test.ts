import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePorts } from '../../src/processes/free-ports.ts'
import { findNatsServer } from '../../src/processes/nats-servers.ts'
import { followAll } from './follow.ts'
import { sourcesIn } from './sources.ts'
import { Terminals } from './terminals.ts'
import { changed, sectionsOf } from './walkthrough.ts'

const EXAMPLES = new URL('../../docs/examples/getting-started/', import.meta.url)
const SECTIONS = sectionsOf(readFileSync(new URL('../../docs/getting-started.md', import.meta.url), 'utf8'))
const TIMEOUT_MS = 300_000

const nats = findNatsServer()
const needsNats = (title: string) => title === 'Two machines' && nats === undefined
if (nats === undefined && process.env.REQUIRE_NATS === '1') throw new Error('nats-server is missing')
if (nats === undefined) console.warn('SKIPPED, because nats-server is not installed: "Two machines"')

let folder: string
let terminals: Terminals
/** What the page names, and what stands for it here: another port, and one machine for two. */
let names: readonly (readonly [onThePage: string, here: string])[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'getting-started-'))
  terminals = new Terminals(sourcesIn(folder, nats === undefined ? [] : [dirname(nats)]))
  const [port] = await freePorts('127.0.0.1', 1)
  names = [
    ['//n1:', '//127.0.0.1:'],
    ['4222', `${port}`],
    ['/ip4/0.0.0.0/tcp/4001', '/ip4/127.0.0.1/tcp/0'],
  ]
})
afterAll(async () => {
  await terminals[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const here = (text: string) => names.reduce((result, [name, one]) => result.replaceAll(name, one), text)
const example = (name: string) => readFileSync(new URL(name, EXAMPLES), 'utf8')

test('the programs of the page are those of the package, which are compiled', () => {
  const steps = SECTIONS.flatMap((section) => section.steps)
  const files = new Map<string, string>()
  for (const step of steps) {
    if (step.kind === 'file') files.set(step.name, step.body)
    if (step.kind === 'change') files.set(step.name, changed(files.get('cities.ts')!, step.body))
  }
  const names = readdirSync(EXAMPLES)
  expect([...files.keys()].sort()).toEqual(names.sort())
  for (const [name, text] of files) expect(text, name).toBe(example(name))
})

for (const { title, steps } of SECTIONS) {
  test.skipIf(needsNats(title))(title, { timeout: TIMEOUT_MS }, async () => {
    await followAll(steps, terminals, here)
  })
}

test('the package.json that the page makes runs modules, and lets Node be installed by npm 12', async () => {
  const { type, allowScripts } = JSON.parse(await readFile(join(terminals.cwd, 'package.json'), 'utf8'))
  expect([type, allowScripts]).toEqual(['module', { node: true }])
})
