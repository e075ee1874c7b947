import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  AppendUncertain,
  EpochChanged,
  LogBusy,
  LogMismatch,
  LogMissing,
  LogRefused,
  LogUnavailable,
  LogUnusable,
} from '../../src/log/errors.ts'
import type { Log, LogInit } from '../../src/log/log.ts'
import { parseHosts } from '../../src/log/postgres/hosts.ts'
import { type PostgresLogOptions, postgresLog } from '../../src/log/postgres.ts'
import { type Postgres, startPostgres } from '../../src/processes/postgres-server.ts'
import { certificate } from './certificate.ts'
import { conformance } from './conformance.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'
import { describePostgres } from './postgres.ts'
import { newSchema, postgresHarness, sql } from './postgres-harness.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** How long a test waits for what comes about by itself, in milliseconds. */
const WAIT = { timeout: 20_000, interval: 20 }
/** The statements of docs/backends/postgres.md, "Privileges". */
const GRANTS = {
  layout: 'SELECT',
  logs: 'SELECT, INSERT, UPDATE',
  entries: 'SELECT, INSERT, DELETE',
  writers: 'SELECT, INSERT, UPDATE, DELETE',
  presences: 'SELECT, INSERT, UPDATE, DELETE',
}

describePostgres('one server', () => {
  let postgres: Postgres
  let schema: string
  let opened: Log[]

  beforeAll(async () => {
    postgres = await startPostgres()
  })
  beforeEach(() => {
    schema = newSchema()
    opened = []
  })
  afterEach(async () => {
    await postgres?.start()
    await Promise.all(opened.map((log) => log.close()))
    await run(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  })
  afterAll(() => postgres?.stop())

  const run = (text: string) => sql(postgres.url, text)
  const backend = (options: Partial<PostgresLogOptions> = {}) =>
    postgresLog({ connectionString: postgres.url, schema, ...options })

  async function open(
    options: Partial<PostgresLogOptions> = {},
    overrides: Partial<LogInit> = {},
  ): Promise<Log> {
    const log = await backend(options).open(init(overrides))
    opened.push(log)
    return log
  }

  /** A role that may do what it is granted, and the URL with which it connects. */
  async function role(...grants: string[]): Promise<string> {
    const name = newSchema()
    await run(`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`)
    for (const grant of grants) await run(`GRANT ${grant} TO ${name}`)
    const url = new URL(postgres.url)
    url.username = name
    url.password = 'secret'
    return url.href
  }

  test("tells the servers' clock, which is this machine's here", async () => {
    const log = await open()
    const beforeMs = Date.now()
    const atMs = await log.serverTimeMs!()
    // Servers may tell whole milliseconds.
    expect(atMs).toBeGreaterThanOrEqual(beforeMs - 1)
    expect(atMs).toBeLessThanOrEqual(Date.now())
  })

  conformance(
    'postgresLog',
    postgresHarness(() => postgres),
  )

  describe('its tables', () => {
    test('hold many logs, each with its own indexes', async () => {
      const [cities, rivers] = [await open({}, { group: 'cities' }), await open({}, { group: 'rivers' })]
      await cities.append(commands('1', '2'))
      expect(await rivers.append(commands('1'))).toMatchObject({ first: 1 })
      await cities.prune(2)
      expect((await readAll(rivers)).map(text)).toEqual(['1'])
      await cities.notices.announce('a', new Uint8Array(1), 1_000)
      expect(await rivers.notices.read()).toEqual([])
    })

    test('are made by many at once, and so is a log', async () => {
      const logs = await Promise.all(numbers(1, 8).map(() => open()))
      expect(new Set(logs.map(({ epoch }) => epoch)).size).toBe(1)
    })

    test('and the log are named by an entry that is too large', async () => {
      const log = await open({ maxEntryBytes: 4_096 })
      const failure = failureOf(log.append([{ kind: 'command', payload: new Uint8Array(5_000) }]))
      expect(String(await failure)).toContain(`log "a group" in ${schema} at postgres://127.0.0.1`)
    })

    test('can be read by people', async () => {
      await (await open()).append(commands('hello'))
      const text = "convert_from(payload, 'UTF8') AS text, convert_from(author, 'UTF8') AS author"
      const rows = await run(
        `SELECT index, ${text} FROM ${schema}.entries JOIN ${schema}.writers USING (log, writer)`,
      )
      expect(rows).toEqual([{ index: '1', text: 'hello', author: 'alice' }])
    })

    test('of another version are LogUnusable, and so are none if none may be made', async () => {
      const failure = await failureOf(open({ create: false }))
      expect(failure).toBeInstanceOf(LogUnusable)
      expect((failure as Error).message).toContain('schema.sql')
      await open()
      await run(`UPDATE ${schema}.layout SET version = 2`)
      await expect(open()).rejects.toThrow(/version 2.*knows 1/)
    })

    test('that are dropped are EpochChanged to who has a log there', async () => {
      const log = await open({ pollMs: 50 })
      const follower = new Follower(log)
      const failure = follower.failure()
      await run(`DROP SCHEMA ${schema} CASCADE`)
      expect(await failure).toBeInstanceOf(EpochChanged)
      expect(await failureOf(log.append(commands('1')))).toBeInstanceOf(EpochChanged)
    })

    test('in a database of any encoding take any name', async () => {
      for (const encoding of ['LATIN1', 'SQL_ASCII']) {
        const database = newSchema()
        await run(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING ${encoding} LOCALE 'C'`)
        const url = new URL(postgres.url)
        url.pathname = database
        const names = { group: 'Łódź 🏙', signature: "日本/1'; --", author: '"\\ü\u2028' }
        const log = await postgresLog({ connectionString: url.href }).open(names)
        await log.append(commands('ü'))
        await log.notices.announce(names.author, new Uint8Array(1), 1_000)
        expect((await readAll(log))[0]).toMatchObject({ author: names.author })
        expect((await log.notices.read())[0]).toMatchObject({ member: names.author })
        await log.close()
        const again = await postgresLog({ connectionString: url.href }).open({ ...names, create: false })
        expect(again).toMatchObject({ epoch: log.epoch, signature: names.signature })
        await again.close()
        await run(`DROP DATABASE ${database} WITH (FORCE)`)
      }
    })
  })

  test('any names come back as they were given', async () => {
    await open()
    const name = (bytesMax: number) =>
      fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
        .filter((text) => text.isWellFormed() && !/\p{Cc}/u.test(text) && Buffer.byteLength(text) <= bytesMax)
    const names = fc.record({ prefix: name(500), signature: name(1024), author: name(255) })
    let logs = 0
    await fc.assert(
      fc.asyncProperty(names, async ({ prefix, signature, author }) => {
        // Short texts come more than once, and each log is made for one signature.
        const group = `${prefix}${++logs}`
        const log = await backend().open({ group, signature, author })
        await log.append(commands('1'))
        await log.notices.announce(author, new Uint8Array(1), 1_000)
        expect((await readAll(log))[0]).toMatchObject({ author })
        expect((await log.notices.read())[0]).toMatchObject({ member: author })
        await log.close()
        const again = await backend().open({ group, signature, author, create: false })
        expect(again).toMatchObject({ epoch: log.epoch, signature })
        await again.close()
      }),
      { numRuns: 15 },
    )
  })

  describe('a role', () => {
    const granted = (tables: Partial<typeof GRANTS>) => [
      `USAGE ON SCHEMA ${schema}`,
      ...Object.entries(tables).map(([table, rights]) => `${rights} ON ${schema}.${table}`),
    ]

    test('with the privileges of the manual does everything, in tables that their owner made', async () => {
      await open()
      const connectionString = await role(...granted(GRANTS))
      const log = await open({ connectionString, log: 'another' })
      await log.append(commands(...numbers(1, 5)))
      await log.noteUpgrade('map/2', 2)
      await log.notices.announce('a', new Uint8Array(1), 1_000)
      await log.notices.withdraw('a')
      expect((await readAll(log)).map(text)).toEqual(numbers(1, 5))
      await log.prune(3)
      await vi.waitFor(async () => expect(await run(`SELECT FROM ${schema}.entries`)).toHaveLength(2), WAIT)
    })

    test('without one of them is LogRefused, with what is missing', async () => {
      await (await open()).append(commands('1'))
      const { entries: _, ...others } = GRANTS
      const connectionString = await role(...granted({ ...others, entries: 'SELECT' }))
      const log = await open({ connectionString })
      const failure = (await failureOf(log.append(commands('2')))) as Error
      expect(failure).toBeInstanceOf(LogRefused)
      expect(failure.message).toMatch(/permission denied for table entries.*Privileges/)
      expect((await readAll(log)).map(text)).toEqual(['1'])
    })

    test('that owns an empty schema makes the tables', async () => {
      const connectionString = await role()
      await run(`CREATE SCHEMA ${schema} AUTHORIZATION ${new URL(connectionString).username}`)
      const log = await open({ connectionString })
      expect(await log.append(commands('1'))).toMatchObject({ first: 1 })
    })

    test('that may not make tables is told which file makes them', async () => {
      const failure = (await failureOf(open({ connectionString: await role() }))) as Error
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(failure.message).toMatch(/may not make them \(permission denied.*schema\.sql/)
    })

    test('with another password is LogRefused, and no message has the password', async () => {
      const url = new URL(await role())
      url.password = 'wrong'
      const failure = (await failureOf(open({ connectionString: url.href }))) as LogRefused
      expect(failure).toBeInstanceOf(LogRefused)
      expect(failure.message).toContain('look at the user and the password')
      expect(failure.message).not.toContain('wrong')
      expect(failure.place).not.toContain(url.username)
    })

    test('of a database that is not there is told that it is to be made', async () => {
      const url = new URL(await role())
      url.pathname = 'nowhere'
      const failure = await failureOf(open({ connectionString: url.href }))
      expect(failure).toBeInstanceOf(LogRefused)
      expect(String(failure)).toContain('"nowhere" does not exist: make it')
    })
  })

  test('a server is trusted by its certificate, or is LogRefused', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'anchorage-postgres-'))
    try {
      const authority = certificate(dir, 'authority')
      const server = certificate(dir, 'server', authority)
      const { dataDir } = postgres.primary
      const { uid, gid } = statSync(dataDir)
      for (const [from, name] of [
        [server.cert, 'server.crt'],
        [server.key, 'server.key'],
      ] as const) {
        const to = join(dataDir, name)
        copyFileSync(from, to)
        chmodSync(to, 0o600)
        chownSync(to, uid, gid)
      }
      await run('ALTER SYSTEM SET ssl = on')
      await run('SELECT pg_reload_conf()')
      const ca = readFileSync(authority.cert, 'utf8')
      await vi.waitFor(() => open({ ssl: { ca } }), WAIT)
      const encrypted =
        "SELECT FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'anchorage'"
      expect(await run(encrypted)).not.toHaveLength(0)
      for (const ssl of [true, { ca: readFileSync(certificate(dir, 'another').cert, 'utf8') }]) {
        await expect(open({ ssl })).rejects.toThrow(LogRefused)
      }
    } finally {
      await run('ALTER SYSTEM RESET ssl')
      await run('SELECT pg_reload_conf()')
      rmSync(dir, { recursive: true })
    }
    await vi.waitFor(() => expect(open({ ssl: true })).rejects.toThrow(/refuses.*SSL/), WAIT)
  })

  describe('an append', () => {
    test('that arrives late, after it was repeated, is in the log once', async () => {
      const log = await open({ statementTimeoutMs: 1_000 })
      await log.append(commands('1'))
      const backends = `SELECT pid FROM pg_stat_activity WHERE query LIKE '%INSERT INTO ${schema}.writers%'
        AND application_name = 'anchorage'`
      const found = ((await run(backends)) as { pid: number }[]).map(({ pid }) => pid)
      const [pid] = found
      if (pid === undefined || pid < 2) throw new Error('the process of the writes is not found')
      process.kill(pid, 'SIGSTOP')
      try {
        // The stopped process has the statement in its socket. The handle gives it up and asks another one.
        expect(await log.append(commands('2'))).toMatchObject({ first: 2 })
        expect(await log.append(commands('3'))).toMatchObject({ first: 3 })
      } finally {
        process.kill(pid, 'SIGCONT')
      }
      const gone = `SELECT FROM pg_stat_activity WHERE pid = ${pid}`
      await vi.waitFor(async () => expect(await run(gone)).toHaveLength(0), WAIT)
      expect((await readAll(log)).map(text)).toEqual(['1', '2', '3'])
    })

    test('whose answer is lost is looked for, and found', async () => {
      await using proxy = await TcpProxy.to(postgres.url)
      const url = new URL(postgres.url)
      url.port = new URL(proxy.url).port
      const log = await open({ connectionString: url.href })
      await log.append(commands('1'))
      let cuts = 0
      // The answer to an append has the column "before".
      proxy.toClient = (bytes) => (bytes.includes('before\0') && cuts++ < 3 ? 'cut' : bytes)
      expect(await log.append(commands('2', '3'))).toMatchObject({ first: 2, last: 3 })
      expect(cuts).toBeGreaterThan(0)
      expect((await readAll(log)).map(text)).toEqual(['1', '2', '3'])
    })

    test('is in the log once, although connections are cut while many are under way', async () => {
      await using proxy = await TcpProxy.to(postgres.url)
      const url = new URL(postgres.url)
      url.port = new URL(proxy.url).port
      const log = await open({ connectionString: url.href })
      let [statements, answers, cuts] = [0, 0, 0]
      const cut = () => {
        cuts++
        return 'cut' as const
      }
      // Some statements do not get through, and of others the answers do not, which have the column "before".
      proxy.toServer = (bytes) => (bytes.length > 1_000 && ++statements % 3 === 0 ? cut() : bytes)
      proxy.toClient = (bytes) => (bytes.includes('before\0') && ++answers % 4 === 0 ? cut() : bytes)
      const appended: string[] = []
      for (let round = 0; round < 3; round++) {
        const texts = numbers(round * 2_000 + 1, (round + 1) * 2_000)
        await Promise.all(texts.map((each) => log.append(commands(each))))
        appended.push(...texts)
      }
      expect(cuts).toBeGreaterThan(2)
      const texts = (await readAll(log)).map(text)
      expect(texts.length).toBe(appended.length)
      expect(new Set(texts)).toEqual(new Set(appended))
    })

    test('is LogBusy while another holds the lock, and nothing is written', async () => {
      const log = await open({ statementTimeoutMs: 1_000 })
      await log.append(commands('1'))
      const locking = run(`BEGIN; SELECT FROM ${schema}.logs FOR UPDATE; SELECT pg_sleep(2); COMMIT`)
      await vi.waitFor(
        async () =>
          expect(await run("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).toHaveLength(1),
        WAIT,
      )
      const failure = await failureOf(log.append(commands('2')))
      expect(failure).toBeInstanceOf(LogBusy)
      expect(failure).toMatchObject({ waitedMs: 500 })
      await locking
      expect(await log.append(commands('3'))).toMatchObject({ first: 2 })
    })

    test('is in the log once or fails with a reason, while the server is killed and started', async () => {
      const log = await open()
      const outcomes = new Map<string, unknown>()
      let isOver = false
      const lines = numbers(1, 20).map(async (line) => {
        for (let n = 0; !isOver; n++) {
          const name = `${line}:${n}`
          outcomes.set(
            name,
            await log.append(commands(name)).then(
              () => 'written',
              (error: unknown) => error,
            ),
          )
        }
      })
      for (let round = 1; round <= 3; round++) {
        const before = outcomes.size
        await vi.waitFor(() => expect(outcomes.size).toBeGreaterThan(before + 200), WAIT)
        await postgres.kill()
        await postgres.start()
      }
      isOver = true
      await Promise.all(lines)
      const texts = (await readAll(log)).map(text)
      expect(new Set(texts).size).toBe(texts.length)
      const found = new Set(texts)
      for (const [name, outcome] of outcomes) {
        if (outcome === 'written') expect(found).toContain(name)
        else if (!(outcome instanceof AppendUncertain)) {
          expect(outcome).toBeInstanceOf(LogUnavailable)
          expect(found).not.toContain(name)
        }
      }
    })
  })

  describe('a handle', () => {
    test('says whether it is connected, and follows where it was', async () => {
      const log = await open()
      const changes: boolean[] = []
      log.connection!.onChange((connected) => changes.push(connected))
      await log.append(commands('1'))
      const follower = new Follower(log)
      await follower.take(1)
      await postgres.kill()
      await vi.waitFor(() => expect(log.connection!.connected).toBe(false), WAIT)
      await postgres.start()
      await vi.waitFor(() => expect(log.connection!.connected).toBe(true), WAIT)
      expect(changes).toEqual([false, true])
      await (await open()).append(commands('2'))
      expect(text((await follower.next())!)).toBe('2')
    })

    test('notices a server that stands still, and takes it back', async () => {
      const log = await open({ statementTimeoutMs: 1_000 })
      await log.append(commands('1'))
      postgres.pause()
      await vi.waitFor(() => expect(log.connection!.connected).toBe(false), WAIT)
      postgres.resume()
      expect(await log.append(commands('2'))).toMatchObject({ first: 2 })
    })

    test('closes soon, although the server does not let it in again', async () => {
      await using proxy = await TcpProxy.to(postgres.url)
      const url = new URL(postgres.url)
      url.port = new URL(proxy.url).port
      const log = await open({ connectionString: url.href })
      proxy.toClient = () => Buffer.alloc(0)
      const dialing = new Promise<void>((resolve) => {
        proxy.toServer = (bytes) => {
          resolve()
          return bytes
        }
      })
      proxy.cut()
      await dialing
      const beganMs = performance.now()
      await log.close()
      expect(performance.now() - beganMs).toBeLessThan(3_000)
    })

    test('waits to read from a table that somebody has locked', async () => {
      const log = await open({ statementTimeoutMs: 1_000 })
      await log.append(commands('1'))
      const locking = run(`BEGIN; LOCK ${schema}.entries; SELECT pg_sleep(2); COMMIT`)
      await vi.waitFor(
        async () =>
          expect(await run("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).toHaveLength(1),
        WAIT,
      )
      expect(text((await new Follower(log).next())!)).toBe('1')
      await locking
    })

    test('that is no longer wanted while it is opened leaves no connection', async () => {
      await using proxy = await TcpProxy.to(postgres.url)
      const url = new URL(postgres.url)
      url.port = new URL(proxy.url).port
      url.searchParams.set('application_name', schema)
      const abort = new AbortController()
      proxy.toServer = (bytes) => {
        if (bytes.includes('LISTEN')) abort.abort()
        return bytes
      }
      const opening = open({ connectionString: url.href }, { signal: abort.signal })
      expect(await failureOf(opening)).toMatchObject({ name: 'AbortError' })
      const sessions = `SELECT FROM pg_stat_activity WHERE application_name = '${schema}'`
      await vi.waitFor(async () => expect(await run(sessions)).toHaveLength(0), WAIT)
    })

    test('is told of an entry long before it would look', async () => {
      const log = await open({ pollMs: 60_000 })
      const follower = new Follower(log)
      const next = follower.next()
      const other = await open()
      await other.append(commands('1'))
      expect(text((await next)!)).toBe('1')
    })

    test('opens what is there alone without the right to make it', async () => {
      await open()
      await expect(open({ create: false, log: 'none' })).rejects.toThrow(LogMissing)
      await expect(open({}, { group: 'none', create: false })).rejects.toThrow(LogMissing)
      await expect(open({ log: 'a group' }, { group: 'b' })).rejects.toThrow(LogMismatch)
    })

    test('deletes pruned rows in slices, also those of one that ended before', async () => {
      const log = await open()
      for (let n = 0; n < 5; n++) await log.append(commands(...numbers(1, 1000)))
      await log.prune(2_000)
      await log.close()
      const other = await open()
      await other.prune(4_990)
      const rows = `SELECT index FROM ${schema}.entries`
      await vi.waitFor(async () => expect(await run(rows)).toHaveLength(10), WAIT)
      expect((await readAll(other, { index: 4_990 })).length).toBe(10)
    })

    test('forgets who wrote only what was pruned long ago', async () => {
      const log = await open()
      await log.append(commands('1'))
      const other = await open({}, { author: 'bob' })
      await other.append(commands('2'))
      await run(`UPDATE ${schema}.writers SET at = at - 8 * 86400000 WHERE author = 'alice'`)
      await other.prune(1)
      const writers = `SELECT FROM ${schema}.writers`
      await vi.waitFor(async () => expect(await run(writers)).toHaveLength(1), WAIT)
      // Whoever was forgotten may write all the same.
      await log.append(commands('3'))
      expect((await readAll(other, { index: 1 })).map(({ author }) => author)).toEqual(['bob', 'alice'])
    })
  })
})

describe('a connection string', () => {
  test('of several hosts is one for each, and a place without user and password', () => {
    expect(parseHosts('postgres://u:p%40ss@h1:5432,h2/db?sslmode=require')).toEqual([
      { connectionString: 'postgres://u:p%40ss@h1:5432/db?sslmode=require', place: 'postgres://h1:5432/db' },
      { connectionString: 'postgres://u:p%40ss@h2/db?sslmode=require', place: 'postgres://h2/db' },
    ])
    expect(parseHosts('postgresql://[::1]:5433/db')).toMatchObject([{ place: 'postgres://[::1]:5433/db' }])
    expect(parseHosts('postgres:///db?host=/run/postgresql')).toMatchObject([
      { place: 'postgres:///run/postgresql/db' },
    ])
  })

  test.each([
    '',
    'host=h dbname=d',
    'http://h',
    'postgres://u:p@ss@h/d',
    'postgres://u:50%ss@h/d',
    'postgres://u:50/ss@h/d',
    'postgres://u:50?ss@h/d',
    'postgres://u:50#ss@h/d',
    'postgres:///d?host=50%ss@h',
    'postgres:///d?host=50%ss',
    'postgres://h:port/d',
    'postgres://h1,,h2/d',
  ])('%j is a RangeError that does not repeat it', (connectionString) => {
    const failure = (() => {
      try {
        postgresLog({ connectionString })
      } catch (error) {
        return error as Error
      }
      return undefined
    })()
    expect(failure).toBeInstanceOf(RangeError)
    expect(failure!.message).not.toMatch(/50|ss@h/)
  })

  test('options out of bounds are RangeErrors', () => {
    const connectionString = 'postgres://h/d'
    for (const options of [
      { schema: 'Anchorage' },
      { schema: 'a; DROP' },
      { pollMs: 0 },
      { statementTimeoutMs: 10 },
      { maxEntryBytes: 1 },
      { log: '' },
    ]) {
      expect(() => postgresLog({ connectionString, ...options })).toThrow(RangeError)
    }
  })
})
