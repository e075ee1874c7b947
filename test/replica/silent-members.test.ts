import { expect, test } from 'vitest'
import type { SilentMember } from '../../src/group/silent-members.ts'
import { altered, alteredLog, Cluster, type Started } from './cluster.ts'

test('a replica that stopped took its leave, and one that was killed fell silent; neither counts any more', async () => {
  await using cluster = new Cluster()
  const [leader, stopped] = (await cluster.startLed(1)) as [Started, Started]
  let isKilled = false
  // The presence store hears nothing of a process that was killed.
  const log = alteredLog(cluster.log, ({ notices }) => ({
    notices: altered(notices, {
      announce: async (...announcement) => {
        if (!isKilled) await notices.announce(...announcement)
      },
      withdraw: async () => {},
    }),
  }))
  const killed = await cluster.start({ lead: false, log })
  await killed.replica.inSync()
  const { replica } = leader
  const ids = [replica.id, stopped.replica.id, killed.replica.id]
  await expect.poll(() => replica.members.length, { timeout: 20_000 }).toBe(3)
  expect(replica.silentMembers).toEqual([])
  const { addresses } = stopped.replica
  await stopped.replica.stop()
  isKilled = true
  const silent = (): [string, boolean][] => replica.silentMembers.map(({ id, tookLeave }) => [id, tookLeave])
  const expected = [
    [ids[1], true],
    [ids[2], false],
  ]
  await expect.poll(() => silent().sort(), { timeout: 20_000 }).toEqual(expected.sort())
  expect(replica.members.map(({ id }) => id)).toEqual([replica.id])
  const of = (id: string | undefined): SilentMember =>
    replica.silentMembers.find((member) => member.id === id)!
  expect(of(ids[1])).toMatchObject({ state: 'in-sync', addresses })
  const { announcedAtMs, silentSinceMs } = of(ids[2])
  expect(silentSinceMs - announcedAtMs).toBeGreaterThan(0)
  // It comes back.
  isKilled = false
  await expect.poll(silent, { timeout: 20_000 }).toEqual([[ids[1], true]])
})
