import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { AppendUncertain, LogRewound, LogUnavailable } from '../../src/log/errors.ts'
import type { Log } from '../../src/log/log.ts'
import { type PostgresLogOptions, postgresLog } from '../../src/log/postgres.ts'
import { type Postgres, type PostgresInstance, startPostgres } from '../../src/processes/postgres-server.ts'
import { conformance } from './conformance.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'
import { describePostgres } from './postgres.ts'
import { postgresHarness, sql } from './postgres-harness.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** How long a test waits for what comes about by itself, in milliseconds. */
const WAIT = { timeout: 20_000, interval: 20 }

let postgres: Postgres
let opened: Log[] = []

async function open(options: Partial<PostgresLogOptions> = {}): Promise<Log> {
  const log = await postgresLog({ connectionString: postgres.url, pollMs: 50, ...options }).open(init())
  opened.push(log)
  return log
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.map((log) => log.close()))
  opened = []
  await postgres?.stop()
}

/** Which process of a server waits for its standby since when. Resolves when one does, other than before. */
async function waits(server: PostgresInstance, before = ''): Promise<string> {
  const sql = "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
  return await vi.waitFor(async () => {
    const found = await server.query(sql)
    expect(found).not.toBe('')
    expect(found).not.toBe(before)
    return found
  }, WAIT)
}

/** Appends one entry after the other, some at a time, until told to stop. Keeps what became of each. */
class Writing {
  readonly outcomes = new Map<string, 'written' | Error>()
  readonly #lines: Promise<void>[]
  #stopped = false

  constructor(log: Log, name: string) {
    let n = 0
    const line = async () => {
      while (!this.#stopped) {
        const text = `${name}${n++}`
        const outcome = await log.append(commands(text)).then(
          () => 'written' as const,
          (error: Error) => error,
        )
        this.outcomes.set(text, outcome)
      }
    }
    this.#lines = Array.from({ length: 20 }, line)
  }

  get written(): number {
    return [...this.outcomes.values()].filter((outcome) => outcome === 'written').length
  }

  async until(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.written).toBeGreaterThan(count), WAIT)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#lines)
  }

  /** Each written entry is in the log once, and of each other one its error tells whether it may be. */
  check(texts: readonly string[]): void {
    const counts = new Map<string, number>()
    for (const each of texts) counts.set(each, (counts.get(each) ?? 0) + 1)
    for (const [each, outcome] of this.outcomes) {
      const count = counts.get(each) ?? 0
      if (outcome === 'written') expect(count, each).toBe(1)
      else if (outcome instanceof AppendUncertain) expect(count, each).toBeLessThanOrEqual(1)
      else {
        expect(outcome).toBeInstanceOf(LogUnavailable)
        expect(count, each).toBe(0)
      }
    }
  }
}

describePostgres('a primary with a synchronous standby', () => {
  beforeEach(async () => {
    postgres = await startPostgres({ standby: 'synchronous' })
  })
  afterEach(closeAll)

  test('that is promoted has every acknowledged entry once, and readers go on', async () => {
    const [a, b, reader] = [await open(), await open(), await open()]
    const writing = [new Writing(a, 'a'), new Writing(b, 'b')]
    await Promise.all(writing.map((each) => each.until(200)))
    const follower = new Follower(reader)
    const read = (await follower.take(100)).map(text)
    await postgres.primary.kill()
    await postgres.promote()
    const written = writing.map((each) => each.written)
    await Promise.all(writing.map((each, n) => each.until(written[n]! + 200)))
    await Promise.all(writing.map((each) => each.stop()))
    const texts = (await readAll(a)).map(text)
    for (const each of writing) each.check(texts)
    for (let n = read.length; n < texts.length; n++) read.push(text((await follower.next())!))
    expect(read).toEqual(texts)
  })

  test('whose old primary lives on: who connects gets the promoted one', async () => {
    await (await open()).append(commands('1'))
    await postgres.promote()
    const log = await open()
    await log.append(commands('2'))
    const [row] = await sql(postgres.urlOf(postgres.primary), 'SELECT newest FROM anchorage.logs')
    expect(row).toMatchObject({ newest: '2' })
  })

  test('that is away: an append waits, even if somebody ends the wait on the server', async () => {
    const log = await open({ statementTimeoutMs: 1_000 })
    await log.append(commands('1'))
    const { primary, standby } = postgres
    await standby!.kill()
    let isSettled = false
    const append = log.append(commands('2')).finally(() => {
      isSettled = true
    })
    let before = await waits(primary)
    for (const end of ['pg_cancel_backend', 'pg_terminate_backend']) {
      await primary.query(`SELECT ${end}(${before.split('|')[0]})`)
      before = await waits(primary, before)
      expect(isSettled).toBe(false)
    }
    await standby!.start()
    expect(await append).toMatchObject({ first: 2, last: 2 })
    expect((await readAll(log)).map(text)).toEqual(['1', '2'])
  })

  test('that stays away: a log that is closed says that the outcome is unknown', async () => {
    const log = await open({ statementTimeoutMs: 1_000 })
    await log.append(commands('1'))
    await postgres.standby!.kill()
    const append = failureOf(log.append(commands('2')))
    await waits(postgres.primary)
    await log.close()
    expect(await append).toBeInstanceOf(AppendUncertain)
  })
})

describePostgres('a primary with an asynchronous standby', () => {
  beforeEach(async () => {
    postgres = await startPostgres({ standby: 'asynchronous' })
  })
  afterEach(closeAll)

  /** The standby has all that was appended, and gets no more. */
  async function cutOffStandby(): Promise<void> {
    const { primary, standby } = postgres
    const caughtUp = 'SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()'
    await vi.waitFor(async () => expect(await primary.query(caughtUp)).toBe('1'), WAIT)
    await standby!.kill()
  }

  /** The standby is the primary, without what was appended since it was cut off. */
  async function loseLastEntries(): Promise<void> {
    const { primary, standby } = postgres
    await primary.kill()
    await standby!.start()
    await postgres.promote()
  }

  test('that is promoted without the last entries: who read them gets LogRewound', async () => {
    const log = await open()
    await log.append(commands(...numbers(1, 5)))
    await cutOffStandby()
    const early = new Follower(log, { index: 3 })
    expect((await early.take(2)).map(text)).toEqual(['4', '5'])
    const appended = await log.append(commands('lost'))
    const late = new Follower(await open())
    const { index, id } = (await late.take(6)).at(-1)!
    expect(id).toBe(appended.firstId)
    await loseLastEntries()
    expect(await late.failure()).toMatchObject({ index: 6, newest: 5 })
    // Another entry takes the place of the lost one.
    expect(await log.append(commands('other'))).toMatchObject({ first: 6 })
    expect(await failureOf(readAll(log, { index, id }))).toBeInstanceOf(LogRewound)
    expect((await early.take(1)).map(text)).toEqual(['other'])
  })

  test('whose old primary lives on alone: who knows of the promoted one does not go back', async () => {
    await (await open()).append(commands('1'))
    await cutOffStandby()
    await postgres.standby!.start()
    await using old = await TcpProxy.to(postgres.urlOf(postgres.primary))
    await postgres.promote()
    const hosts = `${new URL(old.url).host},127.0.0.1:${postgres.primary.port}`
    const log = await open({ connectionString: postgres.url.replace(/(?<=@)[^/]*/, hosts) })
    await log.append(commands('2'))
    let answers = 0
    old.toClient = (bytes) => {
      if (bytes.includes('timeline\0')) answers++
      return bytes
    }
    await postgres.primary.kill()
    const append = log.append(commands('3'))
    await vi.waitFor(() => expect(answers).toBeGreaterThan(3), WAIT)
    await postgres.primary.start()
    expect(await append).toMatchObject({ first: 3 })
    expect((await readAll(log)).map(text)).toEqual(['1', '2', '3'])
  })

  test('that is promoted: an entry that is sent again is another one after another history', async () => {
    const log = await open()
    await log.append(commands('1'))
    await cutOffStandby()
    await log.append(commands('lost'))
    const proxies = await Promise.all(postgres.servers.map((each) => TcpProxy.to(postgres.urlOf(each))))
    const [old, promoted] = proxies as [TcpProxy, TcpProxy]
    const ofProxies = proxies.map(({ url }) => new URL(url).host).join(',')
    const writer = await open({
      connectionString: postgres.url.replace(/(?<=@)[^/]*/, ofProxies),
    })
    const admit = promoted.block()
    old.toClient = (bytes) => {
      if (bytes.includes('before\0')) old.block()
      return bytes.includes('before\0') ? 'cut' : bytes
    }
    const append = writer.append(commands('sent twice'))
    const follower = new Follower(log)
    const { index, id } = (await follower.take(3)).at(-1)!
    await loseLastEntries()
    const other = await open()
    expect(await other.append(commands('other'))).toMatchObject({ first: 2 })
    admit()
    expect(await append).toMatchObject({ first: 3 })
    expect((await readAll(other)).map(text)).toEqual(['1', 'other', 'sent twice'])
    expect(await failureOf(readAll(other, { index, id }))).toBeInstanceOf(LogRewound)
    await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()))
  })

  test('that is promoted without the last entries: an answer that is lost then is found', async () => {
    const proxies = await Promise.all(postgres.servers.map((each) => TcpProxy.to(postgres.urlOf(each))))
    const ofProxies = proxies.map(({ url }) => new URL(url).host).join(',')
    const log = await open({ connectionString: postgres.url.replace(/(?<=@)[^/]*/, ofProxies) })
    await log.append(commands('1'))
    await cutOffStandby()
    await log.append(commands('lost', 'lost too'))
    await loseLastEntries()
    let cuts = 0
    for (const proxy of proxies)
      proxy.toClient = (bytes) => (bytes.includes('before\0') && cuts++ === 0 ? 'cut' : bytes)
    expect(await log.append(commands('2'))).toMatchObject({ first: 2 })
    expect(cuts).toBeGreaterThan(0)
    expect((await readAll(log)).map(text)).toEqual(['1', '2'])
    await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()))
  })
})

describePostgres('a standby that was promoted', () => {
  let promoted: Postgres
  beforeAll(async () => {
    promoted = await startPostgres({ standby: 'synchronous' })
    await promoted.primary.kill()
    await promoted.promote()
  })
  afterAll(() => promoted?.stop())

  conformance(
    'postgresLog',
    postgresHarness(() => promoted),
  )
})
