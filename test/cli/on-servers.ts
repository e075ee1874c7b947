import { readFile, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { createReplica } from '../../src/replica/start.ts'
import type { Place, Printed } from './anchorage.ts'

export interface OnServers {
  /** With the password. */
  readonly url: string
  /** Without it. */
  readonly name: string
  readonly password: string
}

/** Every command takes a log on servers, and none shows the password. */
export async function expectEveryCommand(place: Place, { url, name, password }: OnServers): Promise<void> {
  // Together more than NATS takes in one message.
  const rows = Array.from({ length: 60 }, (_, n) => `{"key": "${n}", "value": "${'x'.repeat(30_000)}"}\n`)
  const said: string[] = []
  const run = async (args: readonly string[], input = '') => {
    const env = { ANCHORAGE_LOG: url, ANCHORAGE_DEBUG: '1' }
    const { code, stdout, stderr } = await place.run([...args, '--group', 'all'], { env, input })
    said.push(stdout, stderr)
    return { code, stdout, stderr }
  }
  expect(await run(['load', '-', '--create'], rows.join(''))).toMatchObject({ code: 0, stderr: '' })
  expect(await run(['set', 'city', '"Bern"', '--json'])).toMatchObject({ code: 0, stderr: '' })
  expect(await run(['get', 'city'])).toMatchObject({ code: 0, stdout: '"Bern"\n' })
  expect((await run(['delete', 'city'])).code).toBe(0)

  const node = place.start(['node', '--data', 'one', '--lease-ms', '1000', '--log', url, '--group', 'all'])
  await node.until(({ event }: Printed) => event === 'leader')
  expect((await run(['export', 'backup'])).code).toBe(0)
  expect(JSON.parse((await run(['verify', '--json'])).stdout)).toMatchObject({ agree: true })
  const { id } = node.printed[0] as Printed & { readonly id: string }
  const status = JSON.parse((await run(['status', '--json'])).stdout)
  expect(status).toMatchObject({ log: name, group: 'all', leader: id })
  expect(status.newest.index).toBeGreaterThan(rows.length)
  expect((await run(['status'])).stdout).toContain(
    `log       ${name}, group all, epoch ${status.epoch.slice(0, 8)}`,
  )
  expect(await node.interrupt()).toBe(0)

  const copy = ['--log', url, '--group', 'copy']
  const imported = await place.run(['import', 'backup', ...copy, '--data', 'two'])
  expect(imported).toMatchObject({ code: 0, stderr: '' })
  const other = place.start(['node', '--data', 'two', '--lease-ms', '1000', ...copy])
  await other.until(({ event }: Printed) => event === 'leader')
  expect((await place.run(['get', '59', ...copy])).stdout).toHaveLength(30_003)
  const again = await place.run(['import', 'backup', ...copy, '--data', 'three'])
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('import into a new log') })
  said.push(JSON.stringify(node.printed), imported.stdout, again.stderr)
  expect(said.join('')).not.toContain(password)
}

/** Commands that read make nothing on the servers, and say that there is no log. */
export async function expectReadersMakeNothing(place: Place, on: OnServers): Promise<void> {
  for (const args of [['get', 'key'], ['delete', 'key'], ['status'], ['verify'], ['export', 'file']]) {
    const { code, stderr } = await place.run([...args, '--log', on.url, '--group', 'nobody'])
    expect({ args, code }).toEqual({ args, code: 1 })
    expect(stderr).toMatch(/^anchorage: there is no log at \S+:\S+ for the group "nobody": .*--log.*\n$/)
    expect(stderr).not.toContain(on.password)
  }
}

/** An import of a damaged file fails. */
export async function expectTornImportFails(place: Place, { url }: OnServers): Promise<void> {
  await backup(place, 'whole', 'x')
  const bytes = await readFile(place.path('whole'))
  bytes[10]! ^= 1
  await writeFile(place.path('torn'), bytes)
  const target = ['--log', url, '--group', 'small', '--data', 'two']
  const { code, stderr } = await place.run(['import', 'torn', ...target])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^anchorage: torn is no intact checkpoint: [^\n]+\n$/)
}

/** Commands that cannot get in say why, and do not repeat the password. */
export async function expectRefused(place: Place, url: string, why: string | RegExp): Promise<void> {
  const password = decodeURIComponent(new URL(url.replace(/,[^/]*/, '')).password)
  const commands = [
    ['set', 'a', '1'],
    ['get', 'a'],
    ['node', '--json'],
  ]
  for (const args of commands) {
    const env = { ANCHORAGE_DEBUG: '1' }
    const { code, stdout, stderr } = await place.run([...args, '--log', url], { env })
    expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
    expect(stderr).toMatch(why)
    expect(stderr).not.toContain(password)
  }
}

/** A file with a state of one key, which was in a log on SQLite. */
export async function backup(place: Place, name: string, value: string): Promise<void> {
  const log = sqliteLog({ path: place.path('source.db'), maxEntryBytes: 31 * 1024 * 1024 })
  const map = new ReplicatedMap()
  await using replica = await createReplica({ group: 'default', machine: map, log, leaseMs: 1_000 })
  await replica.inSync()
  await map.set('value', value)
  await replica.exportTo(place.path(name))
}
