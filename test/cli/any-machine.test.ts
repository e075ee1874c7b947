import { expect, test } from 'vitest'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { Place } from './anchorage.ts'

test('the status is that of any log, whatever its machine and version, and makes none', async () => {
  await using place = await Place.make()
  const path = place.path('anchorage.db')
  const log = await sqliteLog({ path }).open({ group: 'default', signature: 'shop/1', author: 'a shop' })
  await log.append([{ kind: 'command', payload: new Uint8Array([1]) }])
  await log.noteUpgrade('shop/2', 1)
  await log.close()
  const { code, stdout } = await place.run(['status', '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ epoch: log.epoch, newest: { index: 1 } })

  const written = await place.run(['set', 'a', '1'])
  expect(written).toMatchObject({ code: 2, stdout: '' })
  expect(written.stderr).toContain('is of "shop/2", and this command takes it for "map/2')

  const none = await place.run(['status', '--log', place.path('none.db')])
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no log') })
})
