import { expect, test } from 'vitest'
import { offers } from '../../src/cli/commands/offers.ts'
import type { AnnouncedOffer } from '../../src/group/announcement.ts'
import { appendControl } from '../../src/group/control.ts'
import { Desk, Printed } from './desk.ts'

async function shown(desk: Desk): Promise<Record<string, unknown>[]> {
  const output = new Printed({ json: true })
  expect(await offers(desk.context(output), {})).toBe(0)
  const [{ offers: all }] = output.objects as [{ offers: Record<string, unknown>[] }]
  return all
}

const offer = (anchor: number, changes: Partial<AnnouncedOffer> = {}): AnnouncedOffer => ({
  anchor,
  ready: true,
  remainingMs: 50_000,
  ...changes,
})

test('real offers, and the root that the group agreed on', async () => {
  await using desk = new Desk()
  const [leader, follower] = await desk.cluster.startLed(1)
  expect(await shown(desk)).toEqual([])
  const anchor = await leader.replica.mark()
  const root = await leader.replica.rootAt(anchor)
  await follower!.replica.rootAt(anchor)
  // Announcements come a moment later.
  let all: Record<string, unknown>[]
  do all = await shown(desk)
  while (all[0] === undefined || (all[0].by as unknown[]).length < 2)
  expect(all).toMatchObject([
    { anchor: anchor.index, state: 'sealed', root: Buffer.from(root).toString('hex'), silent: [] },
  ])
  const by = all[0]!.by as { id: string; leads: boolean; remainingMs: number }[]
  expect(by.map(({ id, leads }) => [id, leads]).sort()).toEqual(
    [
      [leader.replica.id, true],
      [follower!.replica.id, false],
    ].sort(),
  )
})

test('offers are grouped by anchor, with what the log says of each', async () => {
  await using desk = new Desk()
  const log = await desk.log()
  const marker = { type: 'marker', term: 1, requesters: [], chunkBytes: 1 } as const
  await appendControl(log, { type: 'claim', term: 1 })
  const open = await appendControl(log, { ...marker, electorate: ['test', 'other-member'] })
  const disputed = await appendControl(log, { ...marker, electorate: ['test', 'x'] })
  await appendControl(log, { type: 'attestation', anchor: disputed, root: new Uint8Array(32) })
  const other = await desk.cluster.log.open({ group: 'journals', author: 'x', create: false })
  await appendControl(other, { type: 'attestation', anchor: disputed, root: new Uint8Array(32).fill(1) })
  await other.close()
  await appendControl(log, { type: 'attestation', anchor: open, root: new Uint8Array(32) })
  await desk.announce('first', {
    leads: 1,
    offers: [offer(disputed), offer(open, { servedBytes: 5_000, remainingMs: 0 }), offer(99)],
  })
  await desk.announce('second', { offers: [offer(open, { ready: false })] })
  const output = new Printed()
  await offers(desk.context(output), {})
  expect(
    output.lines.map((line) => line.replaceAll(/ {2,}/g, '  ').replaceAll(/[45]\d\.\d s/g, 'soon')),
  ).toEqual([
    'anchor  root  offered by  ready  lapses in  has sent',
    '2  awaits …r-member  …first *  yes  0 ms  5.0 kB',
    '  …second  being cut  0.0 kB',
    '3  disputed: nobody installs it  …first *  yes  soon  0.0 kB',
    '99  not known  …first *  yes  soon  0.0 kB',
  ])
})

test('without an offer it says how one comes about, and members of another log are none', async () => {
  await using desk = new Desk()
  await desk.announce('elsewhere', { epoch: 'another', offers: [offer(3)] })
  const output = new Printed()
  expect(await offers(desk.context(output), {})).toBe(0)
  expect(output.lines.join(' ')).toMatch(/^no live offers: .*"anchorage snapshot".*lapses a TTL after/)
})

test('what was pruned is not known, and what comes later is read on', async () => {
  await using desk = new Desk()
  const log = await desk.log()
  const electorate = ['test']
  const marker = { type: 'marker', term: 1, requesters: [], chunkBytes: 1, electorate } as const
  await appendControl(log, { type: 'claim', term: 1 })
  const pruned = await appendControl(log, marker)
  const kept = await appendControl(log, marker)
  await log.prune(pruned)
  await desk.announce('a', { offers: [offer(pruned), offer(kept)] })
  const output = new Printed({ json: true })
  const watching = offers(desk.context(output), { watch: true })
  const states = (look: unknown) => (look as { offers: { state: string }[] }).offers.map(({ state }) => state)
  await output.until(() => output.lines.length > 0)
  expect(states(output.objects[0])).toEqual(['unknown', 'open'])
  await appendControl(log, { type: 'attestation', anchor: kept, root: new Uint8Array(32) })
  await output.until(() => states(output.objects.at(-1))[1] === 'sealed')
  desk.interrupted.abort(new Error('Ctrl-C'))
  await expect(watching).rejects.toThrow('abort')
})
