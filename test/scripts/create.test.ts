import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { packCreate } from '../../scripts/package/create.ts'
import { MAIN } from '../cli/anchorage.ts'

const ROOT = dirname(dirname(import.meta.dirname))
/** Node of the system, which may be older than the package needs, and not the one of this repository. */
const PATH = process.env
  .PATH!.split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter)

let folder: string
let program: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'anchorage-create-'))
  execFileSync('tar', ['-xzf', await packCreate(ROOT, folder), '-C', folder])
  program = join(folder, 'package', manifest().bin['create-anchorage'])
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function manifest() {
  return JSON.parse(readFileSync(join(folder, 'package/package.json'), 'utf8'))
}

function create(...args: string[]) {
  return spawnSync('node', [program, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH },
  })
}

function filesOf(name: string): Map<string, string> {
  const project = join(folder, name)
  return new Map(
    readdirSync(project)
      .sort()
      .map((file) => [file, readFileSync(join(project, file), 'utf8')]),
  )
}

test('the packed program writes what "anchorage init" writes, on the Node of the system', () => {
  const { status, stdout, stderr } = create('mine')
  expect(status, stderr).toBe(0)
  expect(stdout).toMatch(/^ {2}cd mine && npm install\n {2}npm start a\n {2}npm start b$/m)
  execFileSync(process.execPath, [MAIN, 'init', 'theirs'], { cwd: folder, stdio: 'pipe' })
  const files = filesOf('mine')
  expect(files.size).toBe(6)
  expect(files).toEqual(filesOf('theirs'))
})

test('its version is that of the package, it depends on nothing, and Node 20 may run it', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { version: own, name, engines, dependencies, license } = manifest()
  expect({ own, name, engines, dependencies, license }).toEqual({
    own: version,
    name: 'create-anchorage',
    engines: { node: '>=20' },
    dependencies: undefined,
    license: '(Apache-2.0 OR MIT)',
  })
  expect(create('--version').stdout).toBe(`${version}\n`)
  expect(readdirSync(dirname(program)).sort()).toEqual([
    ...['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'main.js', 'package.json', 'template'],
  ])
})

test('a directory with anything in it stays as it is', () => {
  mkdirSync(join(folder, 'full'))
  writeFileSync(join(folder, 'full/cities.ts'), 'mine')
  const { status, stdout, stderr } = create('full')
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^create-anchorage: full is not empty, .*"npm create anchorage my-app"\n$/)
  expect(filesOf('full')).toEqual(new Map([['cities.ts', 'mine']]))
})

test.each([[['one', 'two']], [['--no-such-flag']]])('%j is wrong usage, and nothing is written', (args) => {
  const before = readdirSync(folder)
  const { status, stderr } = create(...args)
  expect(status).toBe(2)
  expect(stderr).toMatch(/^usage: npm create anchorage \[dir\]\n/)
  expect(readdirSync(folder)).toEqual(before)
})
