import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place, type Printed } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const leads = ({ event }: Printed) => event === 'leader'

test('an operator marks a snapshot, looks at it, asks what holds the log, and follows the events', async () => {
  const node = place.start(['node', '--volatile', '--ttl-ms', '120000'])
  await node.until(inSync)
  await node.until(leads)
  const following = place.start(['events', '--follow', '--type', 'present,sealed,left'])
  const present = await following.until(({ event }) => event === 'present')

  const marked = await place.run(['snapshot', '--json'])
  expect(marked).toMatchObject({ code: 0, stderr: '' })
  const { anchor, sealed, root } = JSON.parse(marked.stdout)
  expect([sealed, root]).toEqual([true, expect.stringMatching(/^[0-9a-f]{64}$/)])
  const seal = await following.until(({ event }) => event === 'sealed')
  expect(seal).toMatchObject({ index: anchor.index + 1, detail: { anchor, root } })

  const [offers, dry, events] = await Promise.all([
    place.run(['offers']),
    place.run(['prune', '--keep', '0', '--dry-run']),
    place.run(['events']),
  ])
  expect(offers).toMatchObject({ code: 0, stderr: '' })
  expect(offers.stdout).toContain(`${root.slice(0, 16)}, sealed`)
  expect(dry).toMatchObject({ code: 0, stderr: '' })
  expect(dry.stdout).toContain('it offers a snapshot')
  expect(events).toMatchObject({ code: 0, stderr: '' })
  expect(events.stdout).toMatch(/leads, term 1\n.*marked an anchor.*\n.*attests root.*\n.*is sealed, root/)

  expect(await node.interrupt()).toBe(0)
  expect(await following.until(({ event }) => event === 'left')).toMatchObject({
    member: (present as unknown as { member: string }).member,
  })
  expect(await following.interrupt()).toBe(130)
  // The log was not pruned, and nobody is left to mark anything.
  const nobody = await place.run(['snapshot'])
  expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('no replica of the group') })
})
