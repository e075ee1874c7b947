import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
/** Eight parts, the entry point itself, and what the bundler needs. By itself the bundler makes 85. */
const OWN_FILES_MAX = 12
/** What somebody who keeps a map on a file does without. */
const NOT_AT_ONCE = /^(pg|@nats-io\/.*|pino.*|prom-client|yaml|commander|uplot|@bufbuild\/.*)$/
/** Prints the addresses of all modules that are loaded until the process ends. */
const LISTING = `
import { registerHooks } from 'node:module'
import { writeFileSync } from 'node:fs'
const urls = []
registerHooks({ load(url, context, next) { urls.push(url); return next(url, context) } })
process.on('exit', () => writeFileSync(process.env.LISTED, JSON.stringify(urls)))
`

let folder: string

/** The package as it is published, and programs of a user beside it. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'anchorage-build-'))
  const packed = join(folder, 'node_modules', 'anchorage')
  mkdirSync(packed, { recursive: true })
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.ts'), packed])
  cpSync(join(ROOT, 'package.json'), join(packed, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(packed, 'node_modules'))
  write('listing.js', LISTING)
  write('package.json', '{ "type": "module" }')
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text)
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  return execFileSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
}

function anchorage(...args: readonly string[]): string {
  return run(['node_modules/anchorage/dist/cli/main.js', ...args])
}

/** The packages whose modules a program loads, and how many of each. */
function loadedBy(...args: readonly string[]): ReadonlyMap<string, number> {
  const listed = join(folder, 'listed.json')
  run(['--import', './listing.js', ...args], { LISTED: listed })
  const urls = JSON.parse(readFileSync(listed, 'utf8')) as string[]
  const names = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? [])
  return new Map([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]))
}

test('the library is few files, and loads no package that most do without', () => {
  write('imports.js', "import 'anchorage'")
  const loaded = loadedBy('imports.js')
  expect(loaded.get('anchorage')).toBeLessThanOrEqual(OWN_FILES_MAX)
  expect(loaded.get('libp2p')).toBeGreaterThan(0)
  expect([...loaded.keys()].filter((name) => NOT_AT_ONCE.test(name))).toEqual([])
})

test('the sync alone loads no libp2p node: who uses it has one', () => {
  write('syncs.js', "import 'anchorage/sync'")
  const names = [...loadedBy('syncs.js').keys()]
  expect(names).toContain('@libp2p/interface')
  expect(names.filter((name) => /^(libp2p|@libp2p\/tcp|@chainsafe\/libp2p-noise)$/.test(name))).toEqual([])
})

test('the help loads neither libp2p nor what keeps a state', () => {
  const loaded = loadedBy('node_modules/anchorage/dist/cli/main.js', '--help')
  expect([...loaded.keys()].filter((name) => /libp2p|multiformats|napi-rs/.test(name))).toEqual([])
  expect(loaded.get('commander')).toBeGreaterThan(0)
})

test('threads, the version and the template are found where they are', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  expect(anchorage('--version').trim()).toBe(version)
  anchorage('set', 'answer', '42', '--create')
  expect(anchorage('get', 'answer').trim()).toBe('42')
  anchorage('init', 'app')
  expect(existsSync(join(folder, 'app', 'cities.ts'))).toBe(true)
})

test('who joins makes the indexes of a table, in a thread', () => {
  write(
    'indexes.js',
    `import { once } from 'node:events'
    import { createReplica, memoryLog } from 'anchorage'
    import { sqliteMachine } from 'anchorage/machines'
    const schema = 'CREATE TABLE word (id TEXT PRIMARY KEY) STRICT; CREATE INDEX long ON word (length(id))'
    const apply = (db, command) => void db.run('INSERT INTO word VALUES (?)', command.toString())
    const machineAt = (path) => sqliteMachine({ path, name: 'words/1', schema, apply })
    const log = memoryLog()
    const join = async (machine) => {
      const replica = await createReplica({ group: 'words', machine, log, volatile: true })
      await replica.inSync()
      return replica
    }
    using first = machineAt('first')
    await using one = await join(first)
    await first.submit(Buffer.from('anchorage'))
    if (one.leader === undefined) await once(one, 'leader')
    await one.prune({ keepEntries: 0 })
    using second = machineAt('second')
    await using two = await join(second)
    console.log(second.get('SELECT id FROM word INDEXED BY long WHERE length(id) = 9')?.id)`,
  )
  expect(run(['indexes.js']).trim()).toBe('anchorage')
})

test('an error shows the line of the source', () => {
  write('fails.js', "import { sqliteLog } from 'anchorage'\nsqliteLog({ path: '' })")
  const script = "import('./fails.js').catch((error) => console.log(error.stack))"
  expect(run(['--enable-source-maps', '--eval', script])).toMatch(
    /sqliteLog \(.*src\/log\/sqlite\.ts:\d+:\d+\)/,
  )
})

test("in somebody's bundle, a log says that the package must stay outside", async () => {
  write(
    'opens.js',
    `import { sqliteLog } from 'anchorage'
    sqliteLog({ path: 'bundled.db' }).open({ group: 'g', signature: 's', author: 'a' }).catch((error) => console.log(error.message))`,
  )
  const build = await rolldown({
    input: join(folder, 'opens.js'),
    platform: 'node',
    external: ['@napi-rs/blake-hash'],
    logLevel: 'silent',
  })
  await build.write({ dir: join(folder, 'bundle'), format: 'esm' })
  await build.close()
  expect(run(['bundle/opens.js'])).toMatch(/leave the package anchorage out of the bundle/)
})

test('a command keeps what it compiled, unless Node is told not to', () => {
  const main = 'node_modules/anchorage/dist/cli/main.js'
  const cache = (name: string, env = {}) => {
    run([main, '--version'], { NODE_COMPILE_CACHE: join(folder, name), ...env })
    return existsSync(join(folder, name))
  }
  expect(cache('compiled')).toBe(true)
  expect(cache('not-compiled', { NODE_DISABLE_COMPILE_CACHE: '1' })).toBe(false)
})
