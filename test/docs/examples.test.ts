import { cpSync, existsSync, globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { freePorts } from '../../src/processes/free-ports.ts'
import { findNatsServer } from '../../src/processes/nats-servers.ts'
import { followAll } from './follow.ts'
import { sourcesIn } from './sources.ts'
import { Terminals } from './terminals.ts'
import { stepsOf } from './walkthrough.ts'

const EXAMPLES = fileURLToPath(new URL('../../docs/examples/', import.meta.url))
const PROJECTS = globSync('*/package.json', { cwd: EXAMPLES }).map(dirname).sort()
const TIMEOUT_MS = 300_000
const LINES_MAX = 140

const nats = findNatsServer()
const read = (path: string) => readFileSync(join(EXAMPLES, path), 'utf8')
const pageOf = (project: string) => read(`${project}/README.md`)
const needsNats = (project: string) => pageOf(project).includes('nats-server')
if (nats === undefined && process.env.REQUIRE_NATS === '1') throw new Error('nats-server is missing')
if (nats === undefined)
  console.warn(`SKIPPED, because nats-server is not installed: ${PROJECTS.filter(needsNats)}`)

for (const project of PROJECTS) {
  test.skipIf(needsNats(project) && nats === undefined)(
    `${project} does what its README shows`,
    { timeout: TIMEOUT_MS },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), `${project}-`))
      const terminals = new Terminals(sourcesIn(folder, nats === undefined ? [] : [dirname(nats)]))
      // The project alone: it needs nothing of the folders around it.
      cpSync(join(EXAMPLES, project), terminals.cwd, { recursive: true })
      const page = pageOf(project)
      // Whoever runs the tests may have something at these ports.
      const ports = [...new Set(page.match(/\b(?:4\d{3}|80\d{2})\b/g))]
      const free = await freePorts('127.0.0.1', ports.length)
      const here = (text: string) =>
        ports.reduce((result, port, n) => result.replaceAll(port, `${free[n]}`), text)
      try {
        await followAll(stepsOf(page), terminals, here)
      } finally {
        await terminals[Symbol.asyncDispose]()
        await rm(folder, { recursive: true, force: true, maxRetries: 5 })
      }
    },
  )
}

test.each(PROJECTS)('%s is small, and names what it imports', (project) => {
  const { type, dependencies } = JSON.parse(read(`${project}/package.json`))
  expect(type).toBe('module')
  const files = globSync('**/*.ts', { cwd: join(EXAMPLES, project) })
  expect(files.length).toBeLessThanOrEqual(3)
  const imported = new Set(['node'])
  for (const file of files) {
    const text = read(`${project}/${file}`)
    expect(text.split('\n').length, file).toBeLessThanOrEqual(LINES_MAX)
    for (const [, from] of text.matchAll(/^(?:import|\}) .*'([^']+)'$/gm)) {
      if (from!.startsWith('node:')) continue
      if (from!.startsWith('.')) expect(files, file).toContain(basename(from!))
      else imported.add(/^(?:@[^/]+\/)?[^/]+/.exec(from!)![0])
    }
  }
  expect(Object.keys(dependencies).sort()).toEqual([...imported].sort())
})

test('the table of examples has each file and folder, once', () => {
  const listed = [...read('README.md').matchAll(/^\| \[[^\]]+\]\(([^)]+)\) \|/gm)].map(([, path]) => path!)
  const all = globSync('*', { cwd: EXAMPLES, withFileTypes: true })
    .filter(({ name }) => name !== 'README.md')
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
  const isThere = (path: string) => existsSync(join(EXAMPLES, path))
  expect(listed.filter((path) => !isThere(path))).toEqual([])
  const tops = listed.map((path) => path.replace(/(?<=\/).*/, ''))
  expect([...new Set(tops)].sort()).toEqual(all.sort())
  expect(new Set(listed).size).toBe(listed.length)
})
