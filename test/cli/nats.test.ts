import { copyFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, nkeys } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { encode, Inventory } from '../../docs/examples/inventory.ts'
import { logAt } from '../../src/log/log-at.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { createReplica } from '../../src/replica/start.ts'
import { describeNats } from '../log/nats.ts'
import { Place, type Printed } from './anchorage.ts'
import {
  backup,
  expectEveryCommand,
  expectReadersMakeNothing,
  expectRefused,
  expectTornImportFails,
} from './on-servers.ts'

const USER = 'ann'
const PASSWORD = 'correct-horse'
/** A user's module imports the package by its name. */
const BY_NAME = ['--import', new URL('../setup/package-by-name.ts', import.meta.url).href]
const INVENTORY = fileURLToPath(new URL('../../docs/examples/inventory.ts', import.meta.url))

describeNats('a log on NATS servers', () => {
  const key = nkeys.createUser()
  let nats: NatsServers
  let url: string
  let place: Place

  beforeAll(async () => {
    const users = `{ user: ${USER}, password: ${PASSWORD} }, { nkey: ${key.getPublicKey()} }`
    nats = await startNatsServers({ config: `authorization { users: [${users}] }` })
    url = nats.urls[0]!.replace('//', `//${USER}:${PASSWORD}@`)
  })
  afterAll(async () => {
    await nats?.stop()
  })
  beforeEach(async () => {
    place = await Place.make()
  })
  afterEach(async () => {
    await place[Symbol.asyncDispose]()
  })

  async function streams(): Promise<string[]> {
    const nc = await connect({ servers: nats.urls, user: USER, pass: PASSWORD })
    try {
      const found = []
      for await (const { config } of (await jetstreamManager(nc)).streams.list()) found.push(config.name)
      return found.sort()
    } finally {
      await nc.close()
    }
  }

  test('every command takes it, and none shows the password', async () => {
    await expectEveryCommand(place, { url, name: nats.urls[0]!, password: PASSWORD })
  })

  test('commands that read make nothing there', async () => {
    const before = await streams()
    await expectReadersMakeNothing(place, { url, name: nats.urls[0]!, password: PASSWORD })
    expect(await streams()).toEqual(before)
  })

  test('an import that fails there leaves nothing', async () => {
    const before = await streams()
    await expectTornImportFails(place, { url, name: nats.urls[0]!, password: PASSWORD })
    expect(await streams()).toEqual(before)
  })

  test('a value that no message of theirs could hold moves there from a file', async () => {
    const large = 'x'.repeat(20_000_000)
    await backup(place, 'backup', large)
    const target = ['--log', url, '--group', 'large']
    const imported = await place.run(['import', 'backup', ...target, '--data', 'two'])
    expect(imported).toMatchObject({ code: 0, stderr: '' })
    const node = place.start(['node', '--data', 'two', '--lease-ms', '1000', ...target])
    await node.until(({ event }: Printed) => event === 'leader')
    const { stdout } = await place.run(['get', 'value', ...target])
    expect(stdout).toBe(`"${large}"\n`)
  })

  test("so does an item of a machine of one's own, which is asked there", async () => {
    const large = 'x'.repeat(20_000_000)
    const log = sqliteLog({ path: place.path('stock.db'), maxEntryBytes: 31 * 1024 * 1024 })
    {
      const machine = new Inventory()
      await using replica = await createReplica({ group: 'default', machine, log, leaseMs: 1_000 })
      await replica.inSync()
      await replica.submit(encode({ article: 'bolts', count: 3 }))
      await replica.submit(encode({ article: large, count: 5 }))
      await replica.exportTo(place.path('stock'))
    }
    await copyFile(INVENTORY, place.path('inventory.ts'))
    const target = ['--log', url, '--group', 'stock']
    const imported = await place.run(['import', 'stock', ...target, '--data', 'two'])
    expect(imported).toMatchObject({ code: 0, stderr: '' })
    const machine = ['--machine', 'inventory.ts']
    const node = place.start(['node', '--data', 'two', '--lease-ms', '1000', ...target, ...machine], {
      execArgv: BY_NAME,
    })
    await node.until(({ event }: Printed) => event === 'leader')
    const asked = ['bolts', ''].map((question) =>
      place.run(['get', question, ...target, ...machine], { execArgv: BY_NAME }),
    )
    // Three bolts, and two articles.
    expect((await Promise.all(asked)).map(({ stdout }) => stdout)).toEqual(['3\n', '2\n'])

    const here = new Inventory()
    await using joiner = await createReplica({ group: 'stock', machine: here, log: logAt(url), lead: false })
    await joiner.inSync()
    expect([here.stockOf(large), joiner.counts.get('caught-up')]).toEqual([5, 1])
  })

  test('a wrong password is told, and not repeated', async () => {
    await expectRefused(place, url.replace(PASSWORD, 'hunter2'), "the log's servers refuse: ")
  })

  test('the seed of an NKey, and how many servers keep the log', async () => {
    await writeFile(place.path('seed'), `${Buffer.from(key.getSeed())}\n`)
    const options = ['--log', nats.urls[0]!, '--group', 'keyed', '--nkey', 'seed']
    expect((await place.run(['set', 'a', '1', '--create', ...options])).code).toBe(0)
    expect((await place.run(['get', 'a', ...options])).stdout).toBe('1\n')
    const three = await place.run(['get', 'a', ...options, '--log-replicas', '3'])
    expect(three).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('kept by 1 of the servers, not by 3'),
    })
  })

  test('the demo works on servers that run, and leaves nothing on them', async () => {
    const before = await streams()
    const sizes = ['--items', '500', '--history', '2', '--providers', '2']
    const { code, stdout } = await place.run(['demo', ...sizes, '--log', url])
    expect(code).toBe(0)
    expect(stdout).toContain(`on one JetStream stream, 1 copy of it, at ${nats.urls[0]}\n`)
    expect(stdout).toMatch(/at entry [\d,]+ the roots of all 3 replicas are the same/)
    expect(await streams()).toEqual(before)
  })
})
