import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Postgres, startPostgres } from '../../src/testing/index.ts'
import { describePostgres } from '../log/postgres.ts'
import { Place, type Printed } from './anchorage.ts'
import {
  backup,
  expectEveryCommand,
  expectReadersMakeNothing,
  expectRefused,
  expectTornImportFails,
  type OnServers,
} from './on-servers.ts'

const PASSWORD = 'correct-horse'

describePostgres('a log in PostgreSQL', () => {
  let postgres: Postgres
  let on: OnServers
  let place: Place
  let database: string
  let databases = 0

  beforeAll(async () => {
    postgres = await startPostgres()
    // It may do in a database of its own what it likes, and elsewhere nothing.
    await postgres.primary.query(`CREATE ROLE ann LOGIN PASSWORD '${PASSWORD}'`)
  })
  afterAll(async () => {
    await postgres?.stop()
  })
  beforeEach(async () => {
    place = await Place.make()
    database = `app_${databases++}`
    await postgres.primary.query(`CREATE DATABASE ${database} OWNER ann`)
    on = onDatabase(database)
  })
  afterEach(async () => {
    await place[Symbol.asyncDispose]()
  })

  function onDatabase(name: string, user = 'ann', password = PASSWORD): OnServers {
    const place = `postgres://127.0.0.1:${postgres.primary.port}/${name}`
    return { url: place.replace('//', `//${user}:${password}@`), name: place, password }
  }

  test('every command takes it, and none shows the password', async () => {
    await expectEveryCommand(place, on)
  })

  test('the other name of its URLs does, too', async () => {
    const url = on.url.replace('postgres:', 'postgresql:')
    expect(await place.run(['set', 'a', '1', '--create', '--log', url])).toMatchObject({ code: 0 })
    expect(await place.run(['get', 'a', '--log', on.url])).toMatchObject({ code: 0, stdout: '1\n' })
  })

  test('commands that read make nothing there, not even tables', async () => {
    await expectReadersMakeNothing(place, on)
    const schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'anchorage'"
    expect(await postgres.primary.query(schemas, database)).toBe('0')
    const made = await place.run(['set', 'a', '1', '--create', '--log', on.url])
    expect(made.code).toBe(0)
    await expectReadersMakeNothing(place, on)
  })

  test('an import that fails there leaves nothing', async () => {
    await expectTornImportFails(place, on)
    expect((await place.run(['set', 'a', '1', '--log', on.url, '--group', 'small'])).code).toBe(1)
    await place.run(['set', 'a', '1', '--create', '--log', on.url])
    await expectTornImportFails(place, on)
    const got = await place.run(['get', 'value', '--log', on.url, '--group', 'small'])
    expect(got.stderr).toContain('there is no log')
  })

  test('a value that is larger than an entry moves there from a file', async () => {
    const large = 'x'.repeat(20_000_000)
    await backup(place, 'backup', large)
    const target = ['--log', on.url, '--group', 'large']
    const imported = await place.run(['import', 'backup', ...target, '--data', 'two'])
    expect(imported).toMatchObject({ code: 0, stderr: '' })
    const node = place.start(['node', '--data', 'two', '--lease-ms', '1000', ...target])
    await node.until(({ event }: Printed) => event === 'leader')
    expect((await place.run(['get', 'value', ...target])).stdout).toBe(`"${large}"\n`)
  })

  test.each([
    ['a wrong password', { password: 'hunter2' }, 'password authentication failed'],
    ['a user that does not exist', { user: 'bob' }, 'authentication failed'],
    ['a database that does not exist', { database: 'nowhere' }, 'database "nowhere" does not exist'],
  ])('%s is told, and no password', async (_, mistake: Mistake, why) => {
    const { user, password, database: other = database } = mistake
    await expectRefused(place, onDatabase(other, user, password).url, why)
  })

  test('a user that may not make tables is told who may', async () => {
    const { url } = onDatabase('postgres')
    const { code, stdout, stderr } = await place.run(['set', 'a', '1', '--create', '--log', url])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/this user may not make them .*let their owner run .*schema\.sql/)
  })

  test.each([
    ['that nobody listens on', '127.0.0.1:1', 'ECONNREFUSED'],
    ['whose name leads nowhere', 'db.invalid', 'ENOTFOUND|EAI_AGAIN'],
  ])('a host %s is told', async (_, host, why) => {
    const url = `postgres://ann:${PASSWORD}@${host}/app`
    const { code, stderr } = await place.run(['get', 'a', '--log', url])
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^anchorage: .*postgres://${host}/app.*(${why})`))
    expect(stderr).not.toContain(PASSWORD)
  })

  test('the demo works in a database that is there, and leaves no log in it', async () => {
    const sizes = ['--items', '500', '--history', '2', '--providers', '2']
    const { code, stdout, stderr } = await place.run(['demo', ...sizes, '--log', on.url])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toContain(`on one table of PostgreSQL, at ${on.name}\n`)
    expect(stdout).toMatch(/at entry [\d,]+ the roots of all 3 replicas are the same/)
    expect(stdout + stderr).not.toContain(PASSWORD)
    for (const table of ['logs', 'entries', 'writers', 'presences'])
      expect(await postgres.primary.query(`SELECT count(*) FROM anchorage.${table}`, database)).toBe('0')
  })
})

interface Mistake {
  readonly user?: string
  readonly password?: string
  readonly database?: string
}
