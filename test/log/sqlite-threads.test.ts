import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { afterEach, beforeEach, expect, test } from 'vitest'

const SOURCE = pathToFileURL(join(import.meta.dirname, '../../src/log/sqlite.ts')).href
/** The wall-clock time that the hooks below set in a thread. */
const HOOKED_MS = 4_000_000_000_000

let folder: string
let log: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'anchorage-threads-'))
  log = join(folder, 'group.log')
  const hook = `Date.now = () => ${HOOKED_MS}`
  for (const name of ['hook.cjs', 'hook.mjs']) writeFileSync(join(folder, name), hook)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Appends an entry, reads it, and prints by which clock it was stamped, or the error. */
const program = (between = '') => `
  const { sqliteLog } = await import(${JSON.stringify(SOURCE)})
  ${between}
  try {
    const log = await sqliteLog({ path: ${JSON.stringify(log)} }).open({ group: 'g', signature: 's', author: 'a' })
    await log.append([{ kind: 'command', payload: new Uint8Array(1) }])
    const { newest } = await log.bounds()
    await log.close()
    console.log(newest.timestampMs === ${HOOKED_MS} ? 'works, hooked' : 'works')
  } catch (error) {
    console.log(error.name + ': ' + error.message)
  }`

interface Run {
  readonly flags?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly stdin?: string
}

/** What a process prints that Node runs with these flags in the test's folder. */
async function run({ flags = [], env = {}, stdin = '' }: Run): Promise<string> {
  const child = spawn(process.execPath, flags, {
    cwd: folder,
    env: { ...process.env, ...env },
    timeout: 20_000,
  })
  child.stdin.end(stdin)
  const [said, complained] = await Promise.all([textOf(child.stdout), textOf(child.stderr)])
  return said.trim() || complained
}

/** The program as a file. */
function file(between?: string): string {
  const path = join(folder, 'program.mjs')
  writeFileSync(path, program(between))
  return path
}

const elsewhere = `process.chdir('/')`

test.each<[how: string, run: () => Run]>([
  ['given with -e', () => ({ flags: ['--input-type=module', '-e', program()] })],
  ['piped', () => ({ flags: ['--input-type=module'], stdin: program() })],
  [
    'piped, and its type is in NODE_OPTIONS',
    () => ({ env: { NODE_OPTIONS: '--input-type=module' }, stdin: program() }),
  ],
  ['printed', () => ({ flags: ['--input-type=commonjs', '-p', `(async () => {${program()}})(), ''`] })],
  ['with limits of V8', () => ({ flags: ['--max-old-space-size=500', '--expose-gc', file()] })],
])('a program that is %s uses the log', async (_, how) => {
  expect(await run(how())).toBe('works')
})

test.each<[how: string, run: () => Run]>([
  ['-r, relative', () => ({ flags: ['-r', './hook.cjs', file()] })],
  ['-r, relative, and the program goes elsewhere', () => ({ flags: ['-r', './hook.cjs', file(elsewhere)] })],
  ['--require=, absolute', () => ({ flags: [`--require=${join(folder, 'hook.cjs')}`, file(elsewhere)] })],
  [
    '--import, relative, and the program is piped',
    () => ({
      flags: ['--import', './hook.mjs', '--input-type=module'],
      stdin: program(),
    }),
  ],
  ['--import=, absolute', () => ({ flags: [`--import=${join(folder, 'hook.mjs')}`, file(elsewhere)] })],
  [
    '--import, a URL',
    () => ({
      flags: ['--import', `data:text/javascript,Date.now = () => ${HOOKED_MS}`, file(elsewhere)],
    }),
  ],
  ['NODE_OPTIONS, in quotes', () => ({ env: { NODE_OPTIONS: '-r "./hook.cjs"' }, flags: [file()] })],
])('a module that a program preloads with %s is loaded in its threads', async (_, how) => {
  expect(await run(how())).toBe('works, hooked')
})

test('a preload that is not found any more does not keep the threads from starting', async () => {
  const removed = `;(await import('node:fs')).rmSync(${JSON.stringify(join(folder, 'hook.cjs'))})`
  expect(await run({ flags: ['-r', './hook.cjs', file(removed)] })).toBe('works')
})

test('under the test runner and under --watch it works as well', async () => {
  const path = join(folder, 'program.test.mjs')
  writeFileSync(path, program())
  expect(await run({ flags: ['--test', path] })).toContain('works')
  const watched = spawn(process.execPath, ['--watch', path], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  for await (const chunk of watched.stdout) {
    said += chunk
    if (/works|Log\w+:|ended/.test(said)) break
  }
  watched.kill()
  expect(said).toContain('works')
})

test('a thread that cannot start says why', async () => {
  const hook = `import { isMainThread } from 'node:worker_threads'; if (!isMainThread) throw new Error('not in a thread')`
  const said = await run({ flags: ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, file()] })
  expect(said).toMatch(/^LogUnusable: .*group\.log: the thread that serves it has ended: not in a thread/)
})

test.each(['esm', 'cjs'] as const)('bundled (%s), it says that it must stay outside', async (format) => {
  const entry = join(folder, 'entry.mjs')
  const main = `import { sqliteLog } from ${JSON.stringify(SOURCE)}
    sqliteLog({ path: ${JSON.stringify(log)} }).open({ group: 'g', signature: 's', author: 'a' })
      .then(() => console.log('works'), (error) => console.log(error.name + ': ' + error.message))`
  writeFileSync(entry, main)
  const bundle = await rolldown({ input: entry, platform: 'node', logLevel: 'silent' })
  const extension = format === 'esm' ? 'mjs' : 'cjs'
  await bundle.write({ file: join(folder, `reader.${extension}`), format })
  await bundle.close()
  expect(await run({ flags: [join(folder, `reader.${extension}`)] })).toMatch(
    /^LogUnusable: .*leave the package anchorage out of the bundle/,
  )
})
