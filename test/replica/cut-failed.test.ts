import { expect, test } from 'vitest'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { Cluster, next, type Started } from './cluster.ts'
import { Journal, line } from './journal.ts'

const TOO_LARGE = new Uint8Array(ITEM_BYTES_MAX + 1)
const WHY = `an item of ${TOO_LARGE.length} bytes is beyond the limit of ${ITEM_BYTES_MAX}`

/** A machine of which one item is larger than any chunk may be, while it is `heavy`. */
class HeavyJournal extends Journal {
  heavy = true

  override capture() {
    const snapshot = super.capture()
    return this.heavy
      ? { ...snapshot, items: () => [TOO_LARGE], release: () => snapshot.release() }
      : snapshot
  }
}

function problemsOf({ replica }: Started): string[] {
  const problems: string[] = []
  replica.addEventListener('problem', ({ detail }) => void problems.push(`${detail.name}: ${detail.message}`))
  return problems
}

test('where nobody can cut the state, a joiner is told why, and each provider its operator, once', async () => {
  await using cluster = new Cluster()
  const machines = [new HeavyJournal(), new HeavyJournal()] as const
  const leader = await cluster.start({}, machines[0])
  await leader.replica.inSync()
  while (leader.replica.leader !== leader.replica.id) await next(leader.replica, 'leader')
  const follower = await cluster.start({ lead: false }, machines[1])
  await follower.replica.inSync()
  const problems = [leader, follower].map(problemsOf)
  await leader.replica.submit(line('a'))
  await leader.replica.prune({ keepEntries: 0 })

  const joiner = await cluster.start({ lead: false })
  const lost = await joiner.replica.inSync().catch((error: Error) => error)
  expect(lost).toMatchObject({
    name: 'StateLost',
    cause: { name: 'NoProvider', cause: { name: 'CutFailed' } },
  })
  expect((lost as Error).message).toContain(WHY)
  expect(leader.replica.counts.get('captured')).toBe(1)
  await expect(leader.replica.mark()).rejects.toMatchObject({ name: 'CutFailed' })
  await expect(follower.replica.mark()).rejects.toMatchObject({ name: 'CutFailed' })
  for (const told of problems) {
    expect(told).toEqual([expect.stringMatching(/^CutFailed: the state at \w+:\d+ cannot be cut .*beyond/)])
  }

  for (const machine of machines) machine.heavy = false
  const caughtUp = next(joiner.replica, 'caught-up')
  await caughtUp
  await joiner.replica.inSync()
  expect(joiner.journal.lines).toEqual(['a'])
})
