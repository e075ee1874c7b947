import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Place, type Printed } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const leads = ({ event }: Printed) => event === 'leader'

test('a group is exported to a file, verified, and begun anew from it', async () => {
  await place.run(['set', 'CH/Bern', '134794', '--create'])
  await place.run(['set', 'session', 'true', '--ttl-ms', '3600000'])
  const node = place.start(['node', '--data', 'one', '--lease-ms', '1000'])
  await node.until(leads)
  const exported = await place.run(['export', 'backup', '--json'])
  expect(exported).toMatchObject({ code: 0, stderr: '' })
  const group = await place.run(['verify', '--json'])
  expect(group.code).toBe(0)
  expect(JSON.parse(group.stdout)).toMatchObject({ agree: true })
  await node.interrupt('SIGTERM')

  const { position } = JSON.parse(exported.stdout)
  const verified = await place.run(['verify', 'backup', '--json'])
  expect(JSON.parse(verified.stdout)).toMatchObject({ intact: true, items: 2, position, sealed: true })
  const imported = await place.run(['import', 'backup', '--log', 'new.db', '--data', 'two'])
  expect(imported).toMatchObject({ code: 0, stderr: '' })
  expect(imported.stdout).toContain('anchorage node --data two --log new.db\n')
  const other = place.start(['node', '--data', 'two', '--log', 'new.db', '--lease-ms', '1000'])
  await other.until(leads)
  expect((await place.run(['get', 'CH/Bern', '--log', 'new.db'])).stdout).toBe('134794\n')
  expect((await place.run(['get', 'session', '--log', 'new.db'])).stdout).toBe('true\n')

  const again = await place.run(['import', 'backup', '--log', 'new.db', '--data', 'three'])
  expect(again.code).toBe(2)
  expect(again.stderr).toContain('begins with a snapshot of the group "default"')
  expect(again.stderr).toContain('import into a new log')
})

test('a file that is damaged is told from one that is not, and never imported', async () => {
  await place.run(['set', 'a', '1', '--create'])
  const node = place.start(['node', '--data', 'one', '--lease-ms', '1000'])
  await node.until(leads)
  await place.run(['export', 'whole'])
  const bytes = await readFile(place.path('whole'))
  await writeFile(place.path('torn'), bytes.subarray(0, bytes.length - 9))
  const verified = await place.run(['verify', 'torn', 'whole'])
  expect(verified.code).toBe(1)
  expect(verified.stdout).toMatch(/^whole: intact/)
  expect(verified.stderr).toMatch(/torn is no intact checkpoint/)
  const target = ['--log', 'new.db', '--data', 'two']
  expect((await place.run(['import', 'torn', ...target])).code).toBe(1)
  expect((await place.run(['import', 'missing', ...target])).code).toBe(1)
  const nowhere = await place.run(['import', 'whole', '--log', 'new.db'])
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('give --data') })
})

describe('a transform', () => {
  beforeEach(async () => {
    const input = ['a', 'b', 'c'].map((key) => `{"key": "${key}", "value": 1}\n`).join('')
    await place.run(['load', '-', '--create'], { input })
    const node = place.start(['node', '--data', 'one', '--lease-ms', '1000'])
    await node.until(leads)
    expect((await place.run(['export', 'whole'])).code).toBe(0)
    await node.interrupt('SIGTERM')
  })

  test('is a module that is given the items, and yields others', async () => {
    await writeFile(
      place.path('without-b.ts'),
      `export default async function* (items: AsyncIterable<Uint8Array>, { signature }: { signature: string }) {
         if (!signature.startsWith('map')) throw new Error(signature)
         for await (const item of items) if (!Buffer.from(item).includes('b')) yield item
       }`,
    )
    const target = ['--log', 'new.db', '--data', 'two']
    const imported = await place.run(['import', 'whole', ...target, '--transform', 'without-b.ts', '--json'])
    expect(imported).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(imported.stdout)).toMatchObject({ items: 2, data: 'two', position: { index: 1 } })
    const node = place.start(['node', ...target, '--lease-ms', '1000'])
    await node.until(leads)
    expect((await place.run(['get', 'a', '--log', 'new.db'])).stdout).toBe('1\n')
    expect((await place.run(['get', 'b', '--log', 'new.db'])).code).toBe(1)
  })

  test.each([
    ['export default 1', 'has no transform: export default async function*'],
    ['export const signature = 1; export default () => {}', 'is no string'],
    ['export default ]', 'cannot be loaded'],
  ])('that is none is told: %j', async (code, why) => {
    await writeFile(place.path('none.ts'), code)
    const args = ['import', 'whole', '--log', 'new.db', '--data', 'two', '--transform', 'none.ts']
    const { code: exitCode, stderr } = await place.run(args)
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining(why) })
    expect(existsSync(place.path('new.db'))).toBe(false)
  })
})
