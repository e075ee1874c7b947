import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MAIN, Place } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const FILES = ['.gitignore', 'README.md', 'cities.test.ts', 'cities.ts', 'package.json', 'tsconfig.json']
/** For a process that takes itself for one of another Node.js. scripts/package/init.ts takes the system's own. */
const onNode = (version: string) => [
  '--import',
  `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"${version}"}})`,
]
const HOOK = new URL('../setup/package-by-name.ts', import.meta.url).href
/** How long the project's test may take, in milliseconds, on a machine that does other things, too. */
const TEST_MS_MAX = 200_000

const read = (name: string) => readFile(place.path(name), 'utf8')

test('writes a project, and says what to type next', async () => {
  const { code, stdout, stderr } = await place.run(['init', 'my-app'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^ {2}cd my-app && npm install\n {2}npm start a\n {2}npm start b$/m)
  expect((await readdir(place.path('my-app'))).sort()).toEqual(FILES)
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(JSON.parse(await read('my-app/package.json'))).toMatchObject({
    type: 'module',
    dependencies: { anchorage: `^${version}`, node: '^24' },
    allowScripts: { node: true },
  })
})

test('without a name it is this directory, of which git may know already', async () => {
  await mkdir(place.path('here/.git'), { recursive: true })
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'init', '--json'], {
    cwd: place.path('here'),
  })
  const { files, next } = JSON.parse(stdout)
  expect(files.sort()).toEqual(FILES)
  expect(next).toEqual(['npm install', 'npm start a', 'npm start b'])
  expect((await readdir(place.path('here'))).sort()).toEqual(['.git', ...FILES])
})

test('a directory with anything in it stays as it is', async () => {
  await mkdir(place.path('mine'))
  await writeFile(place.path('mine/cities.ts'), 'mine')
  const { code, stdout, stderr } = await place.run(['init', 'mine'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(
    /^anchorage: mine is not empty, it has cities\.ts in it, so nothing was written: .*"anchorage init my-app"\n$/,
  )
  expect(await readdir(place.path('mine'))).toEqual(['cities.ts'])
  expect(await read('mine/cities.ts')).toBe('mine')
})

test('a file is no directory', async () => {
  await writeFile(place.path('mine'), 'mine')
  const { code, stderr } = await place.run(['init', 'mine', '--json'])
  expect(code).toBe(2)
  expect(JSON.parse(stderr).error).toMatchObject({
    name: 'UsageError',
    message: expect.stringMatching(/^mine cannot be written: .*; name another directory$/),
  })
  expect(await read('mine')).toBe('mine')
})

test('the test of the project passes', async () => {
  await place.run(['init', 'my-app'])
  const bin = place.path('my-app/node_modules/.bin')
  await mkdir(bin, { recursive: true })
  // As npm puts it there. The package is the source.
  await writeFile(join(bin, 'anchorage'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
  await chmod(join(bin, 'anchorage'), 0o755)
  const { scripts } = JSON.parse(await read('my-app/package.json'))
  const PATH = [bin, dirname(process.execPath), process.env.PATH].join(delimiter)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout } = await promisify(execFile)('sh', ['-c', scripts.test], {
    cwd: place.path('my-app'),
    env: { ...env, PATH, TMPDIR: place.dir, NODE_OPTIONS: `--import=${HOOK}` },
    timeout: TEST_MS_MAX,
  })
  expect(stdout).toMatch(/^\S* ?pass 1$/m)
  expect((await readdir(place.path('my-app'))).sort()).toEqual([...FILES, 'node_modules'].sort())
})

test('the project’s page has the commands that its test runs', async () => {
  await place.run(['init', 'my-app'])
  const tried = (await read('my-app/cities.test.ts')).matchAll(/ anchorage\(([^.)]+)\)/g)
  const commands = Array.from(tried, ([, args]) => `npx anchorage ${args!.replaceAll(/[',]/g, '')}`)
  expect(commands.length).toBe(2)
  for (const command of commands) expect(await read('my-app/README.md')).toContain(`\n${command}\n`)
})

test('on Node.js 20 it works', async () => {
  const { code, stderr } = await place.run(['init', 'my-app'], { execArgv: onNode('20.20.2') })
  expect(code).toBe(0)
  expect(stderr).toMatch(/^The project brings the Node\.js 24 .*EBADENGINE.*\n$/)
  expect((await readdir(place.path('my-app'))).sort()).toEqual(FILES)
})

test.each([
  ['20.20.2', 'demo'],
  ['18.20.8', 'init'],
])('on Node.js %s, %s says what to type', async (version, command) => {
  const { code, stdout, stderr } = await place.run([command], { execArgv: onNode(version) })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.startsWith(`anchorage: this is Node.js ${version}, and anchorage needs 24 or newer. `)).toBe(
    true,
  )
  for (const remedy of ['npx anchorage init my-app', 'npm install anchorage node@24'])
    expect(stderr).toContain(`"${remedy}"`)
  expect(await readdir(place.dir)).toEqual([])
})
