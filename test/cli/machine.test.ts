import { copyFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { type Finished, Place, type Printed, type Running } from './anchorage.ts'

const INVENTORY = fileURLToPath(new URL('../../docs/examples/inventory.ts', import.meta.url))
const execArgv = ['--import', new URL('../setup/package-by-name.ts', import.meta.url).href]
const MACHINE = ['--machine', 'inventory.ts']

let place: Place
beforeEach(async () => {
  place = await Place.make()
  await copyFile(INVENTORY, place.path('inventory.ts'))
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const leads = ({ event }: Printed) => event === 'leader'
const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const run = (...args: string[]): Promise<Finished> => place.run(args, { execArgv })
const bolts = (count: number) => `{"article": "bolts", "count": ${count}}`

async function node(...args: string[]): Promise<Running> {
  const running = place.start(['node', ...MACHINE, '--lease-ms', '1000', ...args], { execArgv })
  await running.until(args.includes('--reader') ? inSync : leads)
  return running
}

/** How many snapshots it has captured. */
const captures = ({ printed }: Running) =>
  printed.filter(({ event, detail }) => event === 'sync' && detail.type === 'captured').length

describe('the inventory of the docs', () => {
  test('is served, written, and asked, and no replica captures anything for that', async () => {
    const [first, second] = [await node('--data', 'one'), await node('--data', 'two', '--reader')]
    expect(await run('submit', bolts(5))).toMatchObject({ code: 0, stderr: '' })
    expect(await run('get', 'bolts')).toEqual({ code: 0, stdout: '5\n', stderr: '' })
    const json = await run('get', 'bolts', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({ key: 'bolts', value: 5, position: { index: 2 } })
    expect(await run('get', 'nuts')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'anchorage: there is no key "nuts"\n',
    })
    // It knows no machine, and is told what the group speaks.
    const status = JSON.parse((await run('status', '--json')).stdout)
    expect(status).toMatchObject({ signature: 'inventory/1', term: 1 })
    expect(status.leader).toBe(status.members.find(({ leads }: { leads: number }) => leads > 0).id)
    expect([captures(first), captures(second)]).toEqual([0, 0])
  })

  test('tells what a command did, and what it refuses', async () => {
    await node('--data', 'one')
    const moved = await run('submit', bolts(3), ...MACHINE)
    expect(moved).toEqual({ code: 0, stdout: '{"done":true,"stock":3}\n', stderr: '' })
    const short = await run('submit', bolts(-5), ...MACHINE, '--json')
    expect(JSON.parse(short.stdout)).toMatchObject({ result: { done: false, stock: 3 } })
    const hex = Buffer.from(bolts(1)).toString('hex')
    expect((await run('submit', hex, '--hex')).code).toBe(0)
    expect((await place.run(['submit', '-'], { input: bolts(1), execArgv })).code).toBe(0)
    expect((await run('get', 'bolts')).stdout).toBe('5\n')
    expect(await run('submit', 'xyz', '--hex')).toMatchObject({ code: 2, stdout: '' })
    const malformed = await run('submit', 'nonsense', ...MACHINE)
    expect(malformed.code).toBe(1)
    expect(malformed.stderr).toContain('a movement is')
  })

  test('is written once under a key, however often that is submitted', async () => {
    await node('--data', 'one')
    const write = () => run('submit', bolts(3), ...MACHINE, '--key', 'delivery 7')
    expect((await write()).stdout).toBe('{"done":true,"stock":3}\n')
    expect((await write()).stdout).toMatch(/^a command with this key was applied before \(entry \d+\)\n$/)
    expect((await run('get', 'bolts')).stdout).toBe('3\n')
    expect(await run('submit', bolts(3), '--key', 'a')).toMatchObject({ code: 2 })
    // Its log is no stream of messages.
    for (const options of [
      ['--subject', 'a'],
      ['--header', 'a=b'],
      ['--subject', 'a', '--header', 'b'],
    ]) {
      const { code, stderr } = await run('submit', bolts(3), ...options)
      expect(code).toBeGreaterThan(0)
      expect(stderr).toMatch(/give (no subject|--subject|a name)/)
    }
    expect((await run('get', 'bolts')).stdout).toBe('3\n')
  })

  test('is verified, checkpointed, pruned, exported and listed by commands that know no machine', async () => {
    const [first] = [await node('--data', 'one'), await node('--data', 'two', '--reader')]
    for (const count of [1, 2, 3]) await run('submit', bolts(count))
    const early = await run('prune', '--keep', '0')
    expect(early.code).toBe(1)
    expect(early.stderr).toContain('no checkpoint is written yet')
    const checkpoint = await run('checkpoint', '--json')
    expect(checkpoint).toMatchObject({ code: 0, stderr: '' })
    const { position, replicas } = JSON.parse(checkpoint.stdout)
    expect(replicas).toHaveLength(2)
    for (const dir of ['one', 'two'])
      expect(await place.list(`${dir}/checkpoints`, '.checkpoint')).toHaveLength(1)
    const pruned = await run('prune', '--keep', '0', '--json')
    expect(JSON.parse(pruned.stdout).upTo).toBeGreaterThan(0)
    expect(JSON.parse(pruned.stdout).upTo).toBeLessThan(position.index)
    const again = await run('verify', '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ agree: true })

    const members = JSON.parse((await run('members', '--json')).stdout)
    expect(members).toHaveLength(2)
    for (const member of members)
      expect(member).toMatchObject({ state: 'in-sync', speaks: ['inventory/1'], durable: true })
    const [, line] = (await run('members')).stdout.split('\n')
    expect(line).toMatch(/in-sync .* entry \d+ .* inventory\/1/)

    const exported = await run('export', 'backup', '--json')
    expect(exported).toMatchObject({ code: 0, stderr: '' })
    const file = JSON.parse((await run('verify', 'backup', '--json')).stdout)
    expect(file).toMatchObject({ intact: true, items: 1, sealed: true })
    expect(await place.list('.', '.fetched')).toEqual([])
    expect(first.printed.some(({ event }) => event === 'divergence')).toBe(false)
  })

  test('goes over to its second version when an operator says so', async () => {
    await copyFile(INVENTORY.replace('inventory.ts', 'inventory-2.ts'), place.path('inventory-2.ts'))
    const old = await node('--data', 'one')
    await run('submit', bolts(4))
    const early = await run('upgrade', '--to', 'inventory/2')
    expect(early.code).toBe(1)
    expect(early.stderr).toContain('inventory/2')
    await old.interrupt('SIGTERM')
    const second = ['--machine', 'inventory-2.ts']
    const args = ['node', ...second, '--data', 'one', '--lease-ms', '1000']
    const renewed = place.start(args, { execArgv })
    // It led when it was stopped, and leads still.
    await renewed.until(inSync)
    expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({ signature: 'inventory/1' })
    expect(await run('upgrade', '--to', 'inventory/2')).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({ signature: 'inventory/2' })
    const moved = await run('submit', '{"article": "bolts", "count": 1, "orderBelow": 9}', ...second)
    expect(moved).toMatchObject({ code: 0, stderr: '' })
    const behind = await run('get', 'bolts', ...MACHINE)
    expect(behind.code).toBe(2)
    expect(behind.stderr).toContain('is of "inventory/2"')
  })

  test('is read from the log where no replica runs, by a machine that is named', async () => {
    const running = await node('--data', 'one')
    await run('submit', bolts(7))
    await running.interrupt('SIGTERM')
    expect(await run('get', 'bolts', ...MACHINE)).toEqual({ code: 0, stdout: '7\n', stderr: '' })
    const unnamed = await run('get', 'bolts')
    expect(unnamed).toMatchObject({ code: 2, stdout: '' })
    expect(unnamed.stderr).toContain('is of "inventory/1"')
    expect(unnamed.stderr).toContain('--machine')
    for (const args of [['verify'], ['export', 'backup'], ['checkpoint'], ['prune']]) {
      const { code, stderr } = await run(...args)
      expect(code).toBe(1)
      expect(stderr).toContain('no replica of the group "default" is running')
    }
    expect((await run('members')).stdout).toBe('no replica is running\n')
    expect((await run('status')).stdout).toContain('machine   inventory/1')
  })
})

describe('a module for --machine', () => {
  const MAP = "import { ReplicatedMap } from 'anchorage'\n"

  test.each([
    ['an instance', `${MAP}export default new ReplicatedMap()`],
    ['a class', `${MAP}export default class extends ReplicatedMap {}`],
    ['a factory', `${MAP}export default () => new ReplicatedMap()`],
    ['a factory that takes its time', `${MAP}export default async () => new ReplicatedMap()`],
  ])('may give %s', async (_, source) => {
    await writeFile(place.path('machine.ts'), source)
    await place.run(['set', 'a', '1', '--create'])
    expect(await run('get', 'a', '--machine', 'machine.ts')).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  })

  test.each([
    ['missing.ts', undefined, 'there is no file missing.ts'],
    ['none.ts', 'export const machine = 1', 'is not a machine, a class of machines, or a function'],
    ['broken.ts', 'export default {', 'broken.ts cannot be loaded'],
    [
      'throws.ts',
      "export default () => { throw new Error('no disk') }",
      'throws.ts makes no machine: no disk',
    ],
    ['number.ts', 'export default () => 5', 'is not a machine'],
  ])('%s is told as a mistake', async (name, source, why) => {
    if (source !== undefined) await writeFile(place.path(name), source)
    await place.run(['set', 'a', '1', '--create'])
    for (const args of [['get', 'a'], ['node'], ['submit', 'x']]) {
      const { code, stdout, stderr } = await run(...args, '--machine', name)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
      expect(stderr).toContain(why)
    }
  })

  test('of another machine than the log is told with both names', async () => {
    await place.run(['set', 'a', '1', '--create'])
    for (const args of [['get', 'a'], ['node'], ['submit', bolts(1)]]) {
      const { code, stderr } = await run(...args, ...MACHINE)
      expect(code).toBe(2)
      expect(stderr).toContain('"inventory/1"')
      expect(stderr).toContain('"map/2;keys=utf8;values=json"')
    }
    const log = await sqliteLog({ path: place.path('anchorage.db') }).open({
      group: 'default',
      author: 'test',
      create: false,
    })
    expect((await log.bounds()).newest.index).toBe(1)
    await log.close()
  })
})
