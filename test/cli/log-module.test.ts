import { copyFile, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startCluster } from '../../src/testing/index.ts'
import { Place, type Printed } from './anchorage.ts'

const execArgv = ['--import', new URL('../setup/package-by-name.ts', import.meta.url).href]
const ANY = { execArgv }
const MODULE = ['--log-module', 'own-log.ts']
/** A log for each group, beside the module. */
const ownLog = (anchorage: string) => `
import { fileURLToPath } from 'node:url'
import { type LogBackend, sqliteLog } from '${anchorage}'
export default (group: string): LogBackend =>
  sqliteLog({ path: fileURLToPath(new URL(\`./\${group}.own\`, import.meta.url)) })
`

let place: Place
beforeEach(async () => {
  place = await Place.make()
  await writeFile(place.path('own-log.ts'), ownLog('anchorage'))
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const leads = ({ event }: Printed) => event === 'leader'
const run = (...args: string[]) => place.run(args, ANY)

describe('a log of a module of the user', () => {
  test('is served, written, read, verified, pruned and exported by every command', async () => {
    const node = place.start(['node', ...MODULE, '--lease-ms', '1000', '--data', 'one'], ANY)
    await node.until(leads)
    expect(await run('set', 'city', '"Bern"', ...MODULE)).toMatchObject({ code: 0, stderr: '' })
    const loaded = await place.run(['load', '-', ...MODULE], { ...ANY, input: '{"key":"a","value":1}\n' })
    expect(loaded.code).toBe(0)
    expect(await run('get', 'city', ...MODULE)).toMatchObject({ code: 0, stdout: '"Bern"\n' })
    const status = JSON.parse((await run('status', ...MODULE, '--json')).stdout)
    expect(status).toMatchObject({ log: 'own-log.ts', group: 'default', term: 1 })
    for (const command of [
      ['members'],
      ['verify'],
      ['checkpoint'],
      ['prune', '--keep', '0'],
      ['export', 'file'],
    ])
      expect((await run(...command, ...MODULE)).code, command[0]).toBe(0)
    expect(await node.interrupt()).toBe(0)
    const imported = await run('import', 'file', '--group', 'next', '--data', 'two', ...MODULE)
    expect(imported.code).toBe(0)
    expect(imported.stdout).toContain('anchorage node --data two --group next --log-module own-log.ts')
    expect(await place.list('.', '.own')).toEqual(['default.own', 'next.own'])
    expect(await place.list('.', '.db')).toEqual([])
  })

  test('may be the backend itself, and ANCHORAGE_LOG does not matter then', async () => {
    await writeFile(
      place.path('backend.mjs'),
      `import { sqliteLog } from 'anchorage'; export default sqliteLog({ path: './one.own' })`,
    )
    const args = ['set', 'a', '1', '--create', '--log-module', './backend.mjs']
    const env = { ANCHORAGE_LOG: 'nats://127.0.0.1:1' }
    expect(await place.run(args, { ...ANY, env })).toMatchObject({ code: 0 })
    expect(await place.list('.', '.own')).toEqual(['one.own'])
  })

  test('of messages of others is not said to be empty', async () => {
    await writeFile(
      place.path('others.mjs'),
      `import { memoryLog } from 'anchorage'
      import { LogMissing } from 'anchorage/log'
      const log = memoryLog({ messages: true })
      const missing = () => Promise.reject(new LogMissing('a stream'))
      export default { open: (init) => (init.create === false ? missing() : log.open(init)) }`,
    )
    const node = place.start(['node', '--log-module', './others.mjs', '--lease-ms', '1000'], ANY)
    let said = ''
    node.child.stderr!.on('data', (chunk) => (said += chunk))
    await node.until(leads)
    expect(await node.interrupt()).toBe(0)
    expect(said).toContain('began one in the stream of others')
  })

  test('that is not there is not made, and the message names the module and the group', async () => {
    const { code, stderr } = await run('get', 'a', ...MODULE)
    expect(code).toBe(1)
    expect(stderr).toContain('there is no log at own-log.ts for the group "default"')
  })
})

describe('the log over files of the docs', () => {
  test('is shared by replicas as processes: one is killed, the log pruned, and a third catches up', async () => {
    const example = new URL('../../docs/examples/files-log.ts', import.meta.url)
    await copyFile(example, place.path('files-log.ts'))
    const source = `import { filesLog } from './files-log.ts'
      export default (group: string) => filesLog(\`./\${group}-log\`)`
    await writeFile(place.path('own-log.ts'), source)
    const node = (...args: string[]) => place.start(['node', ...MODULE, '--lease-ms', '3000', ...args], ANY)
    const first = node('--data', 'one')
    await first.until(leads)
    const second = node('--reader')
    await second.until(inSync)
    const load = (prefix: string) => {
      const lines = Array.from({ length: 500 }, (_, n) => `{"key":"${prefix}${n}","value":${n}}\n`)
      return place.run(['load', '-', ...MODULE], { ...ANY, input: lines.join('') })
    }
    const loads = await Promise.all([load('a'), load('b')])
    for (const { code } of loads) expect(code).toBe(0)
    for (const command of [['checkpoint'], ['prune', '--keep', '0']])
      expect((await run(...command, ...MODULE)).code, command[0]).toBe(0)
    second.child.kill('SIGKILL')
    const third = node('--reader')
    await third.until(inSync)
    // The killed one is an elector until its announcement has lapsed, and tells no root.
    await expect.poll(async () => (await run('verify', ...MODULE)).code, { timeout: 30_000 }).toBe(0)
    expect((await run('get', 'b499', ...MODULE)).stdout).toBe('499\n')
    for (const running of [first, third]) expect(await running.interrupt()).toBe(0)
  })
})

describe('a mistake of the command line', () => {
  test.each([
    ['a path that is wrong', ['--log-module', 'typo.ts'], 'there is no file typo.ts'],
    [
      'two logs',
      [...MODULE, '--log', 'a.db'],
      "'--log-module <module>' cannot be used with option '--log <place>'",
    ],
    ['an option of servers', [...MODULE, '--creds', 'a.creds'], '--creds is for a log on NATS servers'],
    ['no path', ['--log-module', ''], 'Give a path'],
  ])('%s is told, and nothing is done', async (_, args, said) => {
    const { code, stdout, stderr } = await run('set', 'a', '1', '--create', ...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(said)
    expect(await place.list('.', '.own')).toEqual([])
  })

  test.each([
    ['without a default export', 'export const log = 1', 'is no backend, and no function that makes one'],
    ['of something else', 'export default () => ({ append() {} })', 'is no backend, and no function'],
    ['that throws', "throw new Error('out of order')", 'wrong.mjs cannot be loaded: out of order'],
    [
      'whose function throws',
      "export default () => { throw new Error('no place') }",
      'makes no backend: no place',
    ],
    ['of a class', 'export default class Log {}', 'makes no backend: Class constructor Log'],
  ])('a module %s is told', async (_, source, said) => {
    await writeFile(place.path('wrong.mjs'), source)
    const { code, stderr } = await run('status', '--log-module', 'wrong.mjs')
    expect(code).toBe(2)
    expect(stderr).toContain(said)
  })

  test('the demo takes none', async () => {
    const { code, stderr } = await run('demo', ...MODULE)
    expect(code).toBe(2)
    expect(stderr).toContain('it takes no --log-module')
  })
})

describe('a cluster of processes', () => {
  test('opens it in each of them', async () => {
    await writeFile(place.path('source-log.ts'), ownLog(new URL('../../src/index.ts', import.meta.url).href))
    const logModule = pathToFileURL(place.path('source-log.ts'))
    await using cluster = await startCluster({ replicas: 2, logModule, options: { volatile: true } })
    const [first, second] = cluster.replicas
    await first!.set('a', 1)
    await second!.barrier()
    expect(await second!.get('a')).toBe(1)
    expect(await place.list('.', '.own')).toEqual(['test.own'])
  })

  test('refuses a module that gives none, and two logs', async () => {
    await writeFile(place.path('wrong.mjs'), 'export default 1')
    const logModule = pathToFileURL(place.path('wrong.mjs'))
    const wrong = startCluster({ replicas: 1, logModule })
    await expect(wrong).rejects.toMatchObject({ name: 'LogModuleUnusable', code: 'LOG_MODULE_UNUSABLE' })
    const both = startCluster({ replicas: 1, logModule, log: 'a.db' })
    await expect(both).rejects.toThrow('log and logModule are both given')
  })
})
