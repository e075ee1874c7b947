import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type Postgres, PostgresFailed, PostgresMissing, startPostgres } from '../../src/testing/index.ts'
import { describePostgres } from '../log/postgres.ts'
import { allowFault } from '../setup/strict.ts'
import { abandoned, allGone, running } from './processes.ts'

const ABANDONED = new URL('./abandoned-postgres.ts', import.meta.url)

test('without PostgreSQL the error says what to install', async () => {
  vi.stubEnv('POSTGRES_BIN', '/nowhere')
  const error = await startPostgres().catch((error: Error) => error)
  vi.unstubAllEnvs()
  expect(error).toBeInstanceOf(PostgresMissing)
  expect(error).toMatchObject({ message: expect.stringContaining('apt-get install postgresql') })
})

describePostgres('PostgreSQL of a test', () => {
  test('keeps what it acknowledged through a kill, and takes connections again', async () => {
    await using postgres = await startPostgres()
    await postgres.primary.query('CREATE TABLE t (n int)')
    for (const [n, signal] of (['SIGKILL', 'SIGTERM'] as const).entries()) {
      await postgres.primary.query(`INSERT INTO t VALUES (${n})`)
      await postgres.kill(signal)
      expect(postgres.primary.running).toBe(false)
      await expect(postgres.primary.query('SELECT 1')).rejects.toThrow('Connection refused')
      await postgres.start()
    }
    expect(await postgres.primary.query('SELECT n FROM t ORDER BY n')).toBe('0\n1')
  })

  test('syncs as in production, and takes its password only', async () => {
    await using postgres = await startPostgres({ config: 'max_connections = 12' })
    const settings = ['fsync', 'synchronous_commit', 'full_page_writes', 'max_connections']
    const values = await Promise.all(settings.map((name) => postgres.primary.query(`SHOW ${name}`)))
    expect(values).toEqual(['on', 'on', 'on', '12'])
    const { username, password, host } = new URL(postgres.url)
    expect({ username, host }).toEqual({ username: 'postgres', host: `127.0.0.1:${postgres.primary.port}` })
    expect(password).toMatch(/^[0-9a-f]{32}$/)
    const methods = await postgres.primary.query('SELECT DISTINCT auth_method FROM pg_hba_file_rules')
    expect(methods).toBe('scram-sha-256')
  })

  test('a server that is paused stands still with all of its processes, and then goes on', async () => {
    await using postgres = await startPostgres()
    const pids = await pidsOf(postgres)
    postgres.pause()
    // A signal is sent by then. The system delivers it when the process has its next turn.
    await vi.waitFor(() => expect(running(pids).filter((pid) => !isStopped(pid))).toEqual([]), {
      timeout: 30_000,
    })
    postgres.resume()
    expect(await postgres.primary.query('SELECT 1')).toBe('1')
  })

  test('starts where the temporary folder is closed to others', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'anchorage-closed-'))
    vi.stubEnv('TMPDIR', closed)
    const starting = startPostgres()
    await starting.catch(() => {})
    vi.unstubAllEnvs()
    await using postgres = await starting
    expect(await postgres.primary.query('SELECT 1')).toBe('1')
    await rm(closed, { recursive: true })
  })

  test('a configuration that is wrong is told with the last lines of the log', async () => {
    const error = await startPostgres({ config: 'no_such_setting = 1' }).catch((error: Error) => error)
    expect(error).toBeInstanceOf(PostgresFailed)
    expect(error).toMatchObject({
      server: 'postgres-1',
      message: expect.stringContaining('unrecognized configuration parameter "no_such_setting"'),
    })
  })

  test.each(['wait', 'throw'] as const)('nothing outlives a program that is to %s', async (end) => {
    allowFault(/ the program failed$/m)
    const { parent, pids, dir } = await abandoned(ABANDONED, end)
    expect(pids.length).toBeGreaterThan(3)
    if (end === 'wait') parent.kill('SIGKILL')
    await once(parent, 'exit')
    await allGone(pids)
    if (end === 'throw') expect(existsSync(dir)).toBe(false)
  })
})

describePostgres('PostgreSQL with a standby', () => {
  let postgres: Postgres

  beforeAll(async () => {
    postgres = await startPostgres({ standby: 'synchronous' })
  })
  beforeEach(() => postgres.start())
  afterAll(() => postgres?.stop())

  test('has what was acknowledged when it is promoted, and again when the old primary is its standby', async () => {
    const [first, second] = postgres.servers
    expect(postgres.url).toContain(`@127.0.0.1:${first!.port},127.0.0.1:${second!.port}/`)
    await postgres.primary.query('CREATE TABLE t AS SELECT 1 AS n')
    await postgres.primary.kill()
    await postgres.promote()
    expect([postgres.primary, postgres.standby]).toEqual([second, first])
    // It waits for nobody.
    await postgres.primary.query('INSERT INTO t VALUES (2)')
    await postgres.start()
    await postgres.primary.query('INSERT INTO t VALUES (3)')
    await postgres.primary.kill()
    await postgres.promote()
    expect(await postgres.primary.query('SELECT n FROM t ORDER BY n')).toBe('1\n2\n3')
  })

  test('a commit waits for a standby that is paused', async () => {
    const { primary, standby } = postgres
    expect(await standby!.query('SELECT pg_is_in_recovery()')).toBe('t')
    standby!.pause()
    const commit = primary.query('CREATE TABLE waits (n int)')
    const waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    await vi.waitFor(async () => expect(await primary.query(waits)).toBe('1'), { timeout: 10_000 })
    standby!.resume()
    await commit
    expect(await standby!.query('SELECT count(*) FROM waits')).toBe('0')
  })
})

async function pidsOf({ primary }: Postgres): Promise<number[]> {
  return (await primary.query('SELECT pid FROM pg_stat_activity')).split('\n').map(Number)
}

/** Also of one that has ended meanwhile, such as the process of the connection that asked for them. */
function isStopped(pid: number): boolean {
  try {
    return /^\d+ \(.*\) T/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return true
  }
}
