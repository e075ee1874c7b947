import { expect, test } from 'vitest'
import type { ProcessEvent } from '../../src/testing/index.ts'
import { startCluster } from './start.ts'
import { allAreElectors, expectSameRoots, isCaughtUp, pruneAll } from './support.ts'

const program = new URL('./faulty-process.ts', import.meta.url)

function isDivergence(event: ProcessEvent): event is ProcessEvent<'divergence'> {
  return event.type === 'divergence'
}

test('a process whose machine is wrong is named by every process, gets the state of the others, and a joiner gets theirs', async () => {
  await using cluster = await startCluster({
    replicas: 2,
    program,
    options: { volatile: true, ttlMs: 3_000 },
  })
  const [first, second] = cluster.replicas
  const faulty = await cluster.start({ name: 'faulty', settings: 'faulty' })
  await faulty.inSync()
  await first!.call('add', 'apples', 3)
  await Promise.all([second!.barrier(), faulty.barrier()])
  const all = [first!, second!, faulty]
  expect(await Promise.all(all.map((replica) => replica.call('total', 'apples')))).toEqual([3, 3, 6])

  await allAreElectors(cluster)
  const anchor = await first!.mark()
  const told = await Promise.all(all.map((replica) => replica.waitFor(isDivergence)))
  const sealed = await second!.rootAt(anchor)
  for (const { detail } of told) {
    expect(detail).toMatchObject({ anchor, replica: faulty.id })
    expect(Buffer.from(detail.sealed).toString('hex')).toBe(sealed)
    expect(detail.root).not.toEqual(detail.sealed)
  }
  await faulty.waitFor(isCaughtUp)
  expect(await faulty.call('total', 'apples')).toBe(3)

  await pruneAll(cluster)
  const joiner = await cluster.start({ name: 'joiner' })
  await joiner.waitFor(isCaughtUp)
  expect(await joiner.call('total', 'apples')).toBe(3)
  await expectSameRoots(cluster)
  for (const replica of all) expect(replica.events.filter(isDivergence)).toHaveLength(1)
})
