import { readFile, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
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
  expect((await place.run(['import', 'backup', '--log', 'new.db'])).code).toBe(0)
  expect((await place.run(['get', 'CH/Bern', '--log', 'new.db'])).stdout).toBe('134794\n')
  expect((await place.run(['get', 'session', '--log', 'new.db'])).stdout).toBe('true\n')

  const again = await place.run(['import', 'backup', '--log', 'new.db'])
  expect(again.code).toBe(2)
  expect(again.stderr).toContain('import into a new one')
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
  const imported = await place.run(['import', 'torn', '--log', 'new.db'])
  expect(imported.code).toBe(1)
  expect((await place.run(['import', 'missing', '--log', 'new.db'])).code).toBe(1)
})
