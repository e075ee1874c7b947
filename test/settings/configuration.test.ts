import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SettingInvalid } from '../../src/cli/errors.ts'
import { DescribedProgram, SettingsFolder } from './program.ts'

let folder: SettingsFolder
beforeEach(async () => {
  folder = await SettingsFolder.make()
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

/** The options of `anchorage node` with a file, an environment and flags. */
async function ofNode(text: string, env: NodeJS.ProcessEnv = {}, ...args: string[]) {
  const file = await folder.write(text)
  return await new DescribedProgram(env).options('node', '--config', file, ...args)
}

describe('precedence', () => {
  const FILE = 'group: of-file\nnetwork-key: /of-file\nnode:\n  keep: 1\n  lease-ms: 1000\n'

  test('a flag goes before the environment, that before the file, and the file before the default', async () => {
    const env = { ANCHORAGE_GROUP: 'of-env', ANCHORAGE_NODE_KEEP: '2', ANCHORAGE_NODE_TTL_MS: '2000' }
    expect(await ofNode(FILE, env, '--keep', '3', '--chunk-bytes', '4096')).toEqual(
      expect.objectContaining({
        ...{ log: './anchorage.db', color: true },
        ...{ group: 'of-env', networkKey: '/of-file' },
        ...{ keep: 3, leaseMs: 1000, ttlMs: 2000, chunkBytes: 4096 },
      }),
    )
    expect(await ofNode(FILE, env)).toMatchObject({ group: 'of-env', keep: 2, leaseMs: 1000 })
    expect(await ofNode(FILE)).toMatchObject({ group: 'of-file', keep: 1, leaseMs: 1000 })
    expect(await ofNode('')).toMatchObject({ group: 'default' })
  })

  test('--config goes before ANCHORAGE_CONFIG', async () => {
    const env = { ANCHORAGE_CONFIG: await folder.write('group: other\nnode: {keep: 7}', 'other.yaml') }
    expect(await new DescribedProgram(env).options('node')).toMatchObject({ group: 'other', keep: 7 })
    const { group, keep } = await ofNode('group: mine', env)
    expect({ group, keep }).toEqual({ group: 'mine', keep: undefined })
  })

  test('a command has the options of its own section only', async () => {
    const env = { ANCHORAGE_NODE_KEEP: '2', ANCHORAGE_NODE_TTL_MS: '2000' }
    expect(await new DescribedProgram(env).options('prune')).toMatchObject({ keep: 10_000 })
    expect(await new DescribedProgram(env).options('set', 'a', '1')).not.toHaveProperty('ttlMs')
    // What is wrong with one of another command is that command's.
    expect(await new DescribedProgram({ ANCHORAGE_PRUNE_KEEP: 'x' }).options('node')).toBeDefined()
  })

  test('of two that do not go together the stronger counts, and of two as strong neither', async () => {
    const env = { ANCHORAGE_LOG_MODULE: './mine.ts' }
    expect(await ofNode('log: nats://host', env)).toMatchObject({ logModule: './mine.ts' })
    const { log, logModule } = await ofNode('log-module: mine.ts', {}, '--log', 'other.db')
    expect({ log, logModule }).toEqual({ log: 'other.db', logModule: undefined })
    const both = ofNode('creds: a\nnkey: b\n')
    await expect(both).rejects.toThrow(/anchorage\.yaml:2: nkey: .* with \S*anchorage\.yaml:1, creds/)
    const flags = new DescribedProgram().options('node', '--log', 'a.db', '--log-module', 'b.ts')
    await expect(flags).rejects.toThrow('cannot be used with')
  })
})

describe('how a value is written', () => {
  test('a switch is true or false, whatever its flag is called', async () => {
    expect(await ofNode('json: true\ncolor: false\nnode: {reader: true, volatile: false}')).toMatchObject({
      ...{ json: true, color: false, reader: true, volatile: undefined },
    })
    const env = { ANCHORAGE_COLOR: 'false', ANCHORAGE_NODE_READER: 'false' }
    expect(await ofNode('node: {reader: true}', env)).toMatchObject({ color: false, reader: undefined })
    expect(await ofNode('color: false', {}, '--no-color')).toMatchObject({ color: false })
    expect(await ofNode('color: false', { ANCHORAGE_COLOR: 'true' })).toMatchObject({ color: true })
  })

  test('a list is one of YAML, or has commas in the environment', async () => {
    const all = ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2']
    expect(await ofNode(`node: {listen: [${all}]}`)).toMatchObject({ listen: all })
    expect(await ofNode(`node:\n  listen:\n    - ${all[0]}`)).toMatchObject({ listen: [all[0]] })
    expect(await ofNode(`node: {listen: ${all[0]}}`)).toMatchObject({ listen: [all[0]] })
    const env = { ANCHORAGE_NODE_LISTEN: all.join(', '), ANCHORAGE_SUBMIT_HEADER: 'a=b,c=d' }
    expect(await ofNode('node: {listen: /ip4/10.0.0.1/tcp/3}', env)).toMatchObject({ listen: all })
    expect(await new DescribedProgram(env).options('submit', 'x')).toMatchObject({ header: ['a=b', 'c=d'] })
    // A flag takes the place of the whole list.
    expect(await ofNode(`node: {listen: [${all}]}`, env, '--listen', '/x')).toMatchObject({ listen: ['/x'] })
  })

  test('the parser of the flag takes it as it stands in the file', async () => {
    expect(await ofNode('group: 007\nlog-replicas: 3')).toMatchObject({ group: '007', logReplicas: 3 })
    expect(await ofNode('node: {http: 9464, snapshot-after: never}')).toMatchObject({
      http: { host: '127.0.0.1', port: 9464 },
      snapshotAfter: Number.POSITIVE_INFINITY,
    })
    const json = '{\n  "group": "a\\u00fc",\n  "node": {"keep": 5, "listen": ["/ip4/127.0.0.1/tcp/1"]}\n}'
    expect(await ofNode(json)).toMatchObject({ group: 'aü', keep: 5, listen: ['/ip4/127.0.0.1/tcp/1'] })
  })

  test('a relative path is relative to the file, and to the working directory in the environment', async () => {
    const text = `log: data/app.db
creds: ../app.creds
network-key: /etc/network.key
node: {data: replica, machine: ./inventory.ts}
`
    expect(await ofNode(text)).toMatchObject({
      log: folder.path('data/app.db'),
      creds: folder.path('../app.creds'),
      networkKey: '/etc/network.key',
      data: folder.path('replica'),
      machine: folder.path('inventory.ts'),
    })
    expect(await ofNode('', { ANCHORAGE_NODE_DATA: 'replica' })).toMatchObject({ data: 'replica' })
    for (const log of ['nats://a,nats://b', 'postgres://host/app', 'nats:typo', '/abs/app.db'])
      expect(await ofNode(`log: ${log}`)).toMatchObject({ log })
  })
})

describe('what cannot be used is told with where it stands', () => {
  test.each([
    ['keep: 1', 'keep', 'did you mean keep, in the section node?'],
    ['node: {kep: 1}', 'node.kep', 'did you mean keep, in the section node?'],
    ['groop: a', 'groop', 'did you mean group, at the top?'],
    ['networkKey: a', 'networkKey', 'did you mean network-key, at the top?'],
    ['no-color: true', 'no-color', 'did you mean color, at the top?'],
    ['node: {log: a}', 'node.log', 'did you mean log, at the top?'],
    ['nodes: {keep: 1}', 'nodes', 'did you mean the section node?'],
    ['wombat: 1', 'wombat', 'docs/configuration.md lists what there is'],
    ['node: {new-log: true}', 'node.new-log', 'it is no setting of a file'],
    ['export: {force: true}', 'export', 'it is no setting of a file'],
    ['config: other.yaml', 'config', 'it is no setting of a file'],
    ['[1]: a', '[1]', 'it is no setting of a file'],
    ['node: {keep: many}', 'node.keep', 'Give an integer from 0 on'],
    ['node: {lease-ms: 1}', 'node.lease-ms', 'Give an integer from 250 to 3600000'],
    ['node: {keep: [1]}', 'node.keep', 'Give one value'],
    ['node: {listen: {a: b}}', 'node.listen', 'Give a value, or a list of them'],
    ['node: {listen: []}', 'node.listen', 'it is empty'],
    ['node: {reader: yes}', 'node.reader', 'Give true or false'],
    ['node: {reader: }', 'node.reader', 'Give true or false'],
    ['node: 3', 'node', 'Give options of "anchorage node" below it, indented'],
    ['group: ', 'group', 'Give one value'],
    ['group: ""', 'group', 'it is empty'],
    ['group: *a', 'group', 'Give one value'],
    ['group: !x y', undefined, 'it is no YAML'],
    ['group: a: b', undefined, 'it is no YAML'],
    ['group: x\ngroup: y', undefined, 'it is no YAML'],
    ['group: x\n---\ngroup: y', undefined, 'it is no YAML'],
    ['- group', undefined, 'Give a setting on each line'],
  ])('%j', async (text, key, reason) => {
    const error = await ofNode(`# the first line\n${text}\n`).catch((error) => error)
    expect(error).toBeInstanceOf(SettingInvalid)
    expect(error).toMatchObject({ code: 'SETTING_INVALID', file: folder.path('anchorage.yaml') })
    expect(error.key).toBe(key)
    expect(error.line).toBe(text.includes('\n') ? 3 : 2)
    expect(error.message).toContain(`anchorage.yaml:${error.line}: ${key === undefined ? '' : `${key}: `}`)
    expect(error.message).toContain(reason)
  })

  test.each([
    [{ ANCHORAGE_NODE_KEEP: 'x' }, 'ANCHORAGE_NODE_KEEP: Give an integer from 0 on'],
    [{ ANCHORAGE_NODE_READER: '1' }, 'ANCHORAGE_NODE_READER: Give true or false'],
    [{ ANCHORAGE_COLOR: 'no' }, 'ANCHORAGE_COLOR: Give true or false'],
    [{ ANCHORAGE_LOG: '' }, 'ANCHORAGE_LOG: it is empty: give a value, or unset it'],
    [{ ANCHORAGE_CONFIG: '' }, 'ANCHORAGE_CONFIG: it is empty'],
    [{ ANCHORAGE_NODE_LISTEN: '/ip4/127.0.0.1/tcp/1,' }, 'ANCHORAGE_NODE_LISTEN: it is empty'],
  ])('%j', async (env, message) => {
    const error = await new DescribedProgram(env).options('node').catch((error) => error)
    expect(error).toBeInstanceOf(SettingInvalid)
    expect(error.message).toContain(message)
    expect(error.variable).toBe(Object.keys(env)[0])
  })

  test('a file that cannot be read', async () => {
    for (const [config, why] of [
      [folder.path('missing.yaml'), 'ENOENT'],
      [folder.dir, 'EISDIR'],
    ]) {
      const error = await new DescribedProgram().options('node', '--config', config!).catch((error) => error)
      expect(error).toBeInstanceOf(SettingInvalid)
      expect(error.message).toContain(`${config}: it cannot be read: ${why}`)
    }
  })
})

describe('variables that set nothing', () => {
  const remarks = (...names: string[]) =>
    new DescribedProgram(Object.fromEntries(names.map((name) => [name, 'x']))).configuration.remarks

  test.each([
    ['ANCHORAGE_GRUOP', 'did you mean ANCHORAGE_GROUP?'],
    ['ANCHORAGE_KEEP', 'did you mean ANCHORAGE_NODE_KEEP?'],
    ['ANCHORAGE_NETWORKKEY', 'did you mean ANCHORAGE_NETWORK_KEY?'],
    ['ANCHORAGE_NO_COLOR', 'did you mean ANCHORAGE_COLOR?'],
    ['ANCHORAGE_CONFIG_FILE', 'did you mean ANCHORAGE_CONFIG?'],
    ['ANCHORAGE_WOMBAT', 'docs/configuration.md lists what there is'],
  ])('%s', (name, hint) => {
    expect(remarks(name)).toEqual([`${name} sets nothing: ${hint}`])
  })

  test('those of tests, of Kubernetes, and of others are nobody’s mistake', () => {
    const others = [
      ...['ANCHORAGE_DEBUG', 'ANCHORAGE_CONFIG', 'ANCHORAGE_TEST_LOG', 'ANCHORAGE', 'MY_ANCHORAGE_X'],
      ...['ANCHORAGE_SERVICE_HOST', 'ANCHORAGE_SERVICE_PORT_SYNC', 'ANCHORAGE_PORT_4001_TCP_ADDR'],
      ...['ANCHORAGE_PORT', 'ANCHORAGE_LOG_SERVICE_HOST', 'ANCHORAGE_LOG_PORT_5432_TCP'],
    ]
    expect(remarks(...others)).toEqual([])
  })
})

test('each name is of one setting', () => {
  const { settings } = new DescribedProgram().configuration
  for (const names of [settings.map(({ name }) => name), settings.map(({ variable }) => variable)])
    expect(new Set(names).size).toBe(settings.length)
  // In a file, an option of all commands and the section of a command are both at the top.
  const sections = new Set(settings.map(({ section }) => section))
  for (const { key, section } of settings) expect(section === undefined && sections.has(key), key).toBe(false)
  for (const { variable } of settings) expect(variable).not.toMatch(/_CONFIG$|^ANCHORAGE_(DEBUG|TEST_)/)
})

test('the example for operators is understood', async () => {
  const file = fileURLToPath(new URL('../../docs/examples/deploy/anchorage.yaml', import.meta.url))
  expect(await new DescribedProgram().options('node', '--config', file)).toMatchObject({
    group: 'app',
    data: '/var/lib/anchorage',
    listen: ['/ip4/10.0.0.7/tcp/4001'],
    keep: 100_000,
  })
})
