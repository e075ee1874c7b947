import { existsSync } from 'node:fs'
import { open, readFile, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { MAIN, Place } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

describe('usage', () => {
  test('the help of every command ends with examples', async () => {
    const commands = [
      ...['node', 'set', 'get', 'delete', 'load', 'submit', 'export', 'import', 'network-key'],
      ...['status', 'members', 'verify', 'checkpoint', 'prune', 'upgrade', 'demo'],
      ...['offers', 'snapshot', 'events'],
    ]
    const helps = await Promise.all(commands.map((command) => place.run([command, '--help'])))
    for (const [n, { code, stdout }] of helps.entries()) {
      expect(code).toBe(0)
      expect(stdout).toContain(`Usage: anchorage ${commands[n]}`)
      expect(stdout).toMatch(/Examples:\n {2}\$ .*anchorage/)
    }
  })

  test.each([
    [['--frob'], "unknown option '--frob'"],
    [['frob'], "unknown command 'frob'"],
    [['set', 'key'], "missing required argument 'value'"],
    [['get', 'a', 'b'], 'too many arguments'],
    [['node', '--keep', 'x', '--volatile'], 'Give an integer from 0 on'],
    [['node', '--keep', '5'], 'add --data DIR'],
    [['node', '--listen', 'localhost:80'], 'give a multiaddr such as'],
    [['node', '--lease-ms', '1'], 'Give an integer from 250 to 3600000'],
    [['events', '--type', 'leader,frob'], 'Give some of leader, marked'],
    [['events', '--since', '0'], 'Give an integer from 1 on'],
    [['snapshot', '--timeout', '0'], 'Give an integer from 1 to'],
    [['node', '--lease-ms', '3600001'], 'Give an integer from 250 to 3600000'],
    [['node', '--ttl-ms', '249'], 'Give an integer from 250 to 2147483647'],
    [['node', '--ttl-ms', '2147483648'], 'Give an integer from 250 to 2147483647'],
    [['node', '--chunk-bytes', '8388609'], 'Give an integer from 1 to 8388608'],
    [['set', 'a', '1', '--ttl-ms', '281474976710657'], 'Give an integer from 1 to 281474976710656'],
    [['get', 'a', '--group', ''], 'group has 0 bytes of UTF-8; give from 1 to 512'],
    [['get', 'a', '--group', 'g'.repeat(513)], 'group has 513 bytes of UTF-8; give from 1 to 512'],
    [['demo', '--items', '0'], 'Give an integer from 1 to 1000000'],
    [['demo', '--items', '1000001'], 'Give an integer from 1 to 1000000'],
    [['demo', '--history', '1.5'], 'Give an integer from 1'],
    [['set', 'key', 'Bern'], 'add --string'],
    [['set', 'key', '9007199254740993'], 'the number 9007199254740993 is beyond what JSON numbers keep'],
    [['set', 'key', '{"ids": [-1152921504606846976]}'], 'the number -1152921504606846976 is beyond'],
    [['set', 'key', '[1e400]'], 'the number 1e400 is beyond'],
    [['node', '--listen', '/ip4/127.0.0.1/udp'], 'give a multiaddr such as'],
    [['node', '--announce', '/ip4/0.0.0.0/tcp/4001'], 'which nobody can dial'],
    [['node', '--data', ''], 'Give a path'],
    [['get', 'a', '--log', ''], '--log is empty'],
    [['get', 'a', '--log', '.'], '--log names a directory'],
    [['get', 'a', '--log', 'http://host'], '--log names neither a file nor servers'],
    [['get', 'a', '--log', 'postgres:/app:secret@host/app'], '--log names neither a file nor servers'],
    [
      ['get', 'a', '--log', 'postgres:app:secret@host', '--creds', 'seed'],
      'names neither a file nor servers',
    ],
    [['get', 'a', '--log', 'nats://'], '"nats://" is no NATS server'],
    [['get', 'a', '--log', 'postgres://h1,,h2/app'], 'a host is missing between two commas'],
    [
      ['get', 'a', '--log', 'postgres://host/app', '--creds', 'seed'],
      '--creds is for a log on NATS servers, and',
    ],
    [['get', 'a', '--tls-ca', 'ca.pem'], '--tls-ca is for a log on servers, and ./anchorage.db is a file'],
    [['get', 'a', '--log', 'postgres://host/app', '--tls-ca', MAIN], 'does not hold a certificate'],
    [['get', 'a', '--nkey', 'seed'], '--nkey is for a log on NATS servers, and ./anchorage.db is a file'],
    [['get', 'a', '--log-replicas', '3'], '--log-replicas is for a log on NATS servers'],
    [['get', 'a', '--log-replicas', '2'], 'Give one of 1, 3, 5'],
    [['get', 'a', '--log', 'nats://host', '--creds', 'missing'], 'missing cannot be read'],
    [['get', 'a', '--log', 'nats://host', '--creds', MAIN], 'does not hold credentials for NATS'],
    [['get', 'a', '--log', 'nats://host', '--nkey', MAIN], 'does not hold the seed of an NKey'],
    [['get', 'a', '--log', 'nats://host', '--nkey', MAIN, '--creds', MAIN], 'cannot be used with option'],
    [['get', 'a', '--log', 'tls://host', '--tls-ca', MAIN], 'does not hold a certificate'],
    [['get', 'a', '--log', 'tls://host', '--tls-cert', MAIN], 'belong together'],
    [['demo', '--log', 'other.db'], 'the demo makes a log of its own'],
  ])('%j is wrong usage', async (args, why) => {
    const { code, stdout, stderr } = await place.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
    expect(stderr).toContain(why)
    expect(existsSync(place.path('anchorage.db'))).toBe(false)
  })

  test.each([
    [['get', 'a', '--log', 'nats://ann:hunter2,3@host']],
    [['get', 'a', '--log', 'nats://one:4222,ann:hunter2@two:port']],
    [['get', 'a', 'nats://ann:hunter2@host']],
    [['nats://ann:hunter2@host']],
  ])('%j is wrong usage, and its password is not repeated', async (args) => {
    const env = { ANCHORAGE_DEBUG: '1' }
    const [{ code, stderr }, json] = [await place.run(args, { env }), await place.run([...args, '--json'])]
    expect(code).toBe(2)
    expect(stderr + json.stderr).not.toContain('hunter2')
  })

  test('with --json an error is JSON too', async () => {
    const { code, stderr } = await place.run(['set', 'key', '--json'])
    expect(code).toBe(2)
    expect(JSON.parse(stderr)).toEqual({
      error: { name: 'UsageError', message: expect.stringContaining('missing required argument') },
    })
  })

  test.each([['--version'], ['-V']])('%s', async (option) => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await place.run([option])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    expect((await place.run([option, '--json'])).stdout).toBe(`{"version":"${version}"}\n`)
  })

  test('an old Node is told what to do', async () => {
    const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.1.0'})`
    const { code, stderr } = await place.run(['--help'], { execArgv: ['--import', pretend] })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^anchorage: this is Node.js 20.1.0, .*npm install anchorage node@24.*\n$/)
  })

  test('there are no colours but on a terminal, or where they are forced', async () => {
    const args = ['get', 'key']
    expect((await place.run(args)).stderr).not.toContain('\x1b')
    expect((await place.run(args, { env: { FORCE_COLOR: '1' } })).stderr).toContain('\x1b[31m')
    expect((await place.run([...args, '--no-color'], { env: { FORCE_COLOR: '1' } })).stderr).not.toContain(
      '\x1b',
    )
  })
})

describe('set, get and delete', () => {
  test('what is set is got, until it is deleted', async () => {
    expect(await place.run(['set', 'CH/Bern', '{"population": 134794}', '--create'])).toMatchObject({
      code: 0,
      stderr: '',
    })
    expect(await place.run(['get', 'CH/Bern'])).toEqual({
      code: 0,
      stdout: '{"population":134794}\n',
      stderr: '',
    })
    expect(await place.run(['delete', 'CH/Bern'])).toMatchObject({ code: 0, stderr: '' })
    expect(await place.run(['get', 'CH/Bern'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'anchorage: there is no key "CH/Bern"\n',
    })
  })

  test('--string, --json, negative numbers, and a log named by the environment', async () => {
    const env = { ANCHORAGE_LOG: place.path('other.db') }
    await place.run(['set', 'name', 'Bern', '--string', '--create'], { env })
    expect((await place.run(['get', 'name'], { env })).stdout).toBe('"Bern"\n')
    const { stdout } = await place.run(['set', 'debt', '-7', '--json'], { env })
    const { position } = JSON.parse(stdout)
    expect(position.index).toBeGreaterThan(1)
    expect(JSON.parse((await place.run(['get', 'debt', '--json'], { env })).stdout)).toMatchObject({
      key: 'debt',
      value: -7,
      position: { epoch: position.epoch },
    })
    expect(existsSync(place.path('anchorage.db'))).toBe(false)
  })

  test('set and get in the log that --create made', async () => {
    const log = ['--log', 'made.db']
    expect((await place.run(['set', 'a', '1', '--create', ...log])).code).toBe(0)
    expect((await place.run(['set', 'a', '2', '--create', ...log])).stdout).toBe('set a (entry 2)\n')
  })
})

describe('a log that cannot be used', () => {
  test.each([
    ['a text file', () => writeFile(place.path('anchorage.db'), 'no database'.repeat(100)), 'is not a log'],
    ["another program's database", () => otherDatabase(), 'is not a log'],
    ['a newer format', () => newerFormat(), 'is of format 99'],
    ['another group', () => logOf({ group: 'other' }), 'of the group "other", not "default"'],
  ])('%s', async (_, make, why) => {
    await make()
    const commands = [['set', 'a', '1'], ['get', 'a'], ['status'], ['node']]
    const finished = await Promise.all(commands.map((args) => place.run(args)))
    for (const { code, stderr } of finished) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
      expect(stderr).toContain(why)
    }
  })

  test('that is of another machine: what is wrong names both, and commands that need no machine go on', async () => {
    await logOf({ name: 'other' })
    const commands = [['set', 'a', '1'], ['get', 'a'], ['node'], ['load', '-']]
    const finished = await Promise.all(commands.map((args) => place.run(args)))
    for (const { code, stderr } of finished) {
      expect(code).toBe(2)
      expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
      expect(stderr).toContain('is of "map/2;keys=utf8;values=json;name=other"')
      expect(stderr).toContain('takes it for "map/2;keys=utf8;values=json"')
    }
    expect(finished.map(({ stderr }) => /submit/.test(stderr))).toEqual([true, false, false, true])
    expect((await place.run(['status'])).code).toBe(0)
  })

  test('one page that the disk changed: nobody is told that all is well, and nothing is written', async () => {
    await rottenPage()
    const commands = [['set', 'a', '1'], ['get', 'a'], ['status'], ['status', '--json']]
    const finished = await Promise.all(commands.map((args) => place.run(args)))
    for (const { code, stderr } of finished) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^(anchorage: |\{"error").*anchorage\.db: the file is damaged.*\n$/)
    }
  })

  function otherDatabase(): void {
    using db = new DatabaseSync(place.path('anchorage.db'))
    db.exec('CREATE TABLE mine (a)')
  }

  async function rottenPage(): Promise<void> {
    const input = Array.from({ length: 3_000 }, (_, n) => `{"key":"k${n}","value":"${'v'.repeat(200)}"}\n`)
    await place.run(['load', '-', '--create'], { input: input.join('') })
    const file = await open(place.path('anchorage.db'), 'r+')
    const { size } = await file.stat()
    await file.write(new Uint8Array(4096).fill(7), 0, 4096, Math.floor(size / 8192) * 4096)
    await file.close()
  }

  async function newerFormat(): Promise<void> {
    await place.run(['set', 'a', '1', '--create'])
    using db = new DatabaseSync(place.path('anchorage.db'))
    db.exec('PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)')
  }

  async function logOf({ group = 'default', name = '' }): Promise<void> {
    const { signature } = new ReplicatedMap({ name })
    const log = await sqliteLog({ path: place.path('anchorage.db') }).open({
      group,
      signature,
      author: 'test',
    })
    await log.close()
  }
})

describe('load', () => {
  test('loads a file, and reports what is malformed by its line', async () => {
    const lines = [
      '\ufeff{"key": "a", "value": 1}',
      'nonsense',
      '{"key": "b", "value": {"deep": [null]}}\r',
      '',
      '{"key": 5, "value": 1}',
      '{"key": "no value"}',
      '{"key": "lone \\ud800", "value": 1}',
      '{"key": "c", "value": "the last, without a newline"}',
    ]
    await writeFile(place.path('rows.jsonl'), lines.join('\n'))
    const { code, stdout, stderr } = await place.run(['load', 'rows.jsonl', '--create', '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ loaded: 3, malformed: 4, complete: true })
    const errors = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).error)
    expect(errors.map(({ name, line }) => [name, line])).toEqual(
      [2, 5, 6, 7].map((n) => ['MalformedLine', n]),
    )
    expect((await place.run(['get', 'a'])).stdout).toBe('1\n')
    expect((await place.run(['get', 'b'])).stdout).toBe('{"deep":[null]}\n')
    expect((await place.run(['get', 'c'])).stdout).toBe('"the last, without a newline"\n')
  })

  test('what it would have to change or leave out is malformed', async () => {
    const lines = [
      '{"key": "id", "value": 9007199254740993}',
      '{"key": "typo", "value": 1, "tllMs": 5}',
      '{"key": "never", "value": 1, "ttlMs": 0}',
      '{"key": "text", "value": 1, "ttlMs": "5"}',
      '["key", "value"]',
      '{"key": "short", "value": [9007199254740992, 0.12345678901234567890], "ttlMs": 3600000}',
    ]
    const { code, stdout, stderr } = await place.run(['load', '-', '--create'], { input: lines.join('\n') })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^loaded 1 entry in .*; 5 malformed lines left out\n$/)
    const told = stderr.trimEnd().split('\n')
    expect(told).toHaveLength(5)
    expect(told[0]).toContain('the number 9007199254740993 is beyond what JSON numbers keep exactly')
    expect(told[1]).toContain('not tllMs')
    expect(told[2]).toContain('ttlMs is 0')
    expect(told[3]).toContain('ttlMs is "5"')
    expect((await place.run(['get', 'short'])).stdout).toBe('[9007199254740992,0.12345678901234568]\n')
  })

  test('keys live as long as their line says', async () => {
    const input = '{"key": "gone", "value": 1, "ttlMs": 1}\n{"key": "here", "value": 1, "ttlMs": 3600000}\n'
    expect((await place.run(['load', '-', '--create'], { input })).code).toBe(0)
    expect((await place.run(['set', 'later', '1'])).code).toBe(0)
    expect((await place.run(['get', 'gone'])).code).toBe(1)
    expect((await place.run(['get', 'here'])).code).toBe(0)
  })

  test('loads many rows from standard input, in their order', async () => {
    const rows = Array.from({ length: 20_000 }, (_, n) => `{"key": "${n % 15_000}", "value": ${n}}\n`)
    const { code, stdout, stderr } = await place.run(['load', '-', '--create'], { input: rows.join('') })
    expect(code).toBe(0)
    // A line a second of how far it is, on a machine where it takes so long.
    expect(stderr).toMatch(/^([\d,]+ entries, [^\n]+\n)*$/)
    expect(stdout).toMatch(/^loaded 20,000 entries in /)
    expect((await place.run(['get', '4999'])).stdout).toBe('19999\n')
    expect((await place.run(['get', '14999'])).stdout).toBe('14999\n')
  })

  test('bytes that are no UTF-8 are malformed, not mended', async () => {
    const input = Buffer.concat([
      Buffer.from('{"key":"a","value":"'),
      Buffer.from([0xff]),
      Buffer.from('"}\n'),
    ])
    const { code, stderr } = await place.run(['load', '-', '--create'], { input })
    expect(code).toBe(1)
    expect(stderr).toBe('anchorage: line 1 was left out: it is not UTF-8\n')
  })

  test.each([
    ['missing.jsonl', 'there is no file missing.jsonl'],
    ['.', 'cannot be read'],
  ])('%s cannot be loaded', async (file, why) => {
    const { code, stderr } = await place.run(['load', file, '--create'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
    expect(stderr).toContain(why)
    expect(existsSync(place.path('anchorage.db-wal'))).toBe(false)
  })

  test('Ctrl-C ends it with what was read so far', async () => {
    const loading = place.start(['load', '-', '--create'])
    loading.child.stdin!.write('{"key": "a", "value": 1}\n')
    await vi.waitUntil(async () => {
      const { stdout } = await place.run(['status', '--json'])
      return stdout !== '' && JSON.parse(stdout).newest.index === 1
    }, 20_000)
    expect(await loading.interrupt()).toBe(130)
    expect(loading.printed).toMatchObject([{ loaded: 1, complete: false }])
  })
})
