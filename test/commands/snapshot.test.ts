import { expect, test } from 'vitest'
import { snapshot } from '../../src/cli/commands/snapshot.ts'
import { next } from '../replica/cluster.ts'
import { Desk, Printed } from './desk.ts'

const PATIENT = { wait: true, timeout: 60_000 }

test('a snapshot is marked, and its root printed once it is sealed', async () => {
  await using desk = new Desk()
  const [{ replica }] = await desk.cluster.startLed(1)
  const output = new Printed({ json: true })
  expect(await snapshot(desk.context(output), PATIENT)).toBe(0)
  const [{ anchor, sealed, root }] = output.objects as [{ anchor: never; sealed: boolean; root: string }]
  expect(sealed).toBe(true)
  expect(root).toBe(Buffer.from(await replica.rootAt(anchor)).toString('hex'))
  // Another one is another anchor: it is marked now.
  const text = new Printed()
  await snapshot(desk.context(text), PATIENT)
  expect(text.lines).toEqual([expect.stringMatching(/^entry \d+ is sealed, root [0-9a-f]{64}$/)])
  expect(text.lines[0]).not.toContain(root)
})

test('an elector that says nothing is named when the time is over, and at once when it has ended', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  while (replica.leader !== replica.id) await next(replica, 'leader')
  await desk.announce('the-mute-elector')
  const output = new Printed()
  const late = snapshot(desk.context(output), { wait: true, timeout: 50 })
  await expect(late).rejects.toMatchObject({
    name: 'NotSealed',
    missing: expect.arrayContaining(['the-mute-elector']),
    message: expect.stringMatching(/within 50 ms: .*…-elector.* not attested.*"anchorage offers"/),
  })
  const log = await desk.log()
  const marked = next(replica, 'marked')
  const gone = snapshot(desk.context(output), PATIENT)
  gone.catch(() => {})
  await marked
  await log.notices.withdraw('the-mute-elector')
  await expect(gone).rejects.toMatchObject({
    name: 'NotSealed',
    missing: ['the-mute-elector'],
    message: expect.stringContaining('it ended; run the command again'),
  })
  // Whoever does not wait is not kept.
  expect(await snapshot(desk.context(output), { wait: false, timeout: 1 })).toBe(0)
  expect(output.lines).toEqual([expect.stringMatching(/^entry \d+ is marked$/)])
})

test('without a replica there is nobody to ask', async () => {
  await using desk = new Desk()
  await desk.log()
  await expect(snapshot(desk.context(new Printed()), PATIENT)).rejects.toMatchObject({ name: 'NobodyRuns' })
})
