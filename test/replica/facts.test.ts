import { describe, expect, test } from 'vitest'
import type { ReplicaEvent } from '../../src/replica/events.ts'
import { alteredLog, Cluster, next } from './cluster.ts'
import { synced } from './hostile.ts'
import { Journal, line } from './journal.ts'

/** Facts that operators look at, and that nothing else of a replica depends on. */

test('how far a replica is behind: entries, and time by the stamps of the log', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  const hold = Promise.withResolvers<void>()
  const log = alteredLog(cluster.log, (inner) => ({
    async *follow(cursor, options) {
      for await (const batch of inner.follow(cursor, options)) {
        await hold.promise
        yield batch
      }
    },
  }))
  const { replica } = await cluster.start({ log, lead: false })
  const bounds = (await leader.replica.lag()).log
  expect(bounds.newest.index).toBeGreaterThan(0)
  await leader.replica.submit(line('a'))
  const late = await replica.lag()
  expect(late).toMatchObject({ entries: late.log.newest.index - replica.position.index })
  expect(late.entries).toBeGreaterThan(0)
  hold.resolve()
  await replica.barrier()
  expect(await replica.lag()).toMatchObject({ entries: 0, ms: 0 })
})

test('what ended a replica can be asked for', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  expect([replica.group, replica.failure]).toEqual(['journals', undefined])
  await replica.submit(line('unbearable')).catch(() => {})
  expect(replica.failure).toMatchObject({ code: 'APPLY_FAILED' })
  await replica.stop()
  expect(replica.failure).toMatchObject({ code: 'APPLY_FAILED' })
})

describe('what holds the log', () => {
  test('nobody asked for pruning', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0)
    expect(replica.logHolds).toEqual([{ by: 'policy', upTo: 0 }])
  })

  test('a policy, no checkpoint, and an offer', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0, { prune: { keepEntries: 3, intervalMs: 60_000 } })
    for (const text of ['a', 'b', 'c', 'd', 'e']) await replica.submit(line(text))
    expect(replica.logHolds).toEqual([{ by: 'policy', upTo: replica.position.index - 3 }])
    const anchor = await replica.mark()
    while (!replica.members.some(({ offers }) => offers.some((one) => one.anchor === anchor.index)))
      await new Promise((resolve) => setImmediate(resolve))
    expect(replica.logHolds).toContainEqual({ by: 'offer', upTo: anchor.index - 1, member: replica.id })
  })
})

test('an observer hears what a listener does, and is heard no more when it has ended', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  const heard: ReplicaEvent[] = []
  const end = replica.observe((event) => void heard.push(event))
  const marked = next(replica, 'marked')
  const sealed = next(replica, 'sealed')
  const anchor = await replica.mark()
  expect(await marked).toEqual({ anchor })
  expect(heard).toContainEqual({ type: 'marked', detail: { anchor } })
  const detail = await sealed
  expect(heard).toContainEqual({ type: 'sealed', detail })
  end()
  const count = heard.length
  await replica.stop()
  expect(heard).toHaveLength(count)
})

test('each chunk that came is told: who sent it, its bytes, and that it was good', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  for (let n = 0; n < 20; n++) await leader.replica.submit(line(`line ${n}`))
  await leader.replica.prune({ keepEntries: 0 })
  const joiner = await cluster.start({ lead: false }, new Journal())
  const fetched = synced(joiner.replica, 'fetched')
  const { anchor, bytesFetched } = await next(joiner.replica, 'caught-up')
  expect(fetched.length).toBeGreaterThan(1)
  expect(fetched.map(({ index }) => index).sort((a, b) => a - b)).toEqual([...fetched.keys()])
  expect(fetched.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(bytesFetched)
  for (const event of fetched)
    expect(event).toMatchObject({ type: 'fetched', anchor, peer: leader.replica.id, outcome: 'good' })
})
