import { describe, expect, test } from 'vitest'
import type { Position } from '../../src/position.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { Cluster, next, type Started, when } from './cluster.ts'
import { line } from './journal.ts'

/** What is under way ends, and what is asked for then is answered, within so long. Sessions end after 500 ms here. */
const SOON_MS = 5_000
const TIMES = { requestTimeoutMs: 500, fetchTimeoutMs: 250 }

type Ask = (replica: Replica<number>, beyond: Position) => Promise<unknown>
const METHODS: readonly [method: string, ask: Ask][] = [
  ['submit', (replica) => replica.submit(line('z'))],
  ['inSync', (replica) => replica.inSync()],
  ['reached', (replica, beyond) => replica.reached(beyond)],
  ['barrier', (replica) => replica.barrier()],
  ['mark', (replica) => replica.mark()],
  ['rootAt', (replica, beyond) => replica.rootAt(beyond)],
  ['prune', (replica) => replica.prune()],
]

/** How each method of a replica ends, by the name of its error. */
async function answers(replica: Replica<number>): Promise<Record<string, string>> {
  const beyond = { ...replica.position, index: replica.position.index + 1_000 }
  const late = AbortSignal.timeout(SOON_MS)
  const ended = METHODS.map(async ([method, ask]) => {
    const hanging = new Promise<string>((resolve) => {
      late.addEventListener('abort', () => resolve('hangs'))
    })
    const asked = ask(replica, beyond).then(
      () => 'resolved',
      (error: Error) => error.name,
    )
    return [method, await Promise.race([asked, hanging])]
  })
  return Object.fromEntries(await Promise.all(ended))
}

const all = (name: string) => Object.fromEntries(METHODS.map(([method]) => [method, name]))

/** In a log that was pruned while nobody else is there. */
async function startLost(cluster: Cluster): Promise<Started> {
  const [one] = await cluster.startLed(0)
  for (const text of ['a', 'b', 'c']) await one.replica.submit(line(text))
  await one.replica.prune({ keepEntries: 0 })
  await one.replica.stop()
  const joiner = await cluster.start({ lead: false, ...TIMES })
  await when(joiner.replica, 'state', () => joiner.replica.state === 'lost')
  return joiner
}

/** Its state is not the group's, and it reaches nobody who could serve another. */
async function startDiverged(cluster: Cluster): Promise<[Started, leader: Started]> {
  const [leader, follower] = await cluster.startLed(1)
  const libp2p = { connectionGater: { denyDialPeer: () => true } }
  const wrong = await cluster.start({ lead: false, libp2p, ...TIMES })
  await Promise.all([follower!.replica.inSync(), wrong.replica.inSync()])
  wrong.journal.twist = () => 'something else'
  await leader.replica.submit(line('a'))
  const found = next(wrong.replica, 'divergence')
  await leader.replica.mark()
  await found
  return [wrong, leader]
}

describe('what a replica is asked is answered, by the name of what keeps it', () => {
  test('when it is lost', async () => {
    await using cluster = new Cluster()
    const { replica } = await startLost(cluster)
    const log = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    const { newest } = await log.bounds()
    expect(await answers(replica)).toEqual(all('StateLost'))
    expect(() => replica.assertReadable()).toThrow(expect.objectContaining({ name: 'StateLost' }))
    // Nothing that was refused is in the log.
    expect((await log.bounds()).newest).toEqual(newest)
  })

  test('when it has halted', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0)
    await expect(replica.submit(line('unbearable'))).rejects.toMatchObject({ name: 'ApplyFailed' })
    expect(await answers(replica)).toEqual(all('ApplyFailed'))
  })

  test('when it was stopped', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0)
    await replica.stop()
    expect(await answers(replica)).toEqual(all('ReplicaStopped'))
  })

  test('when it was stopped while it was lost', async () => {
    await using cluster = new Cluster()
    const { replica } = await startLost(cluster)
    await replica.stop()
    expect(await answers(replica)).toEqual(all('ReplicaStopped'))
  })

  test('when its state is wrong, and nobody within reach serves another', async () => {
    await using cluster = new Cluster()
    const [{ replica, journal }] = await startDiverged(cluster)
    expect(() => replica.assertReadable()).toThrow(
      expect.objectContaining({ name: 'NotReadable', cause: expect.objectContaining({ name: 'Diverged' }) }),
    )
    // What is written, or waited for, meanwhile is answered too.
    const under = { ...(await answers(replica)), mark: 'not asked', prune: 'not asked' }
    expect(under).toEqual({ ...all('Diverged'), mark: 'not asked', prune: 'not asked' })
    await when(replica, 'state', () => replica.state === 'lost')
    expect(journal.lines).toEqual(['something else'])
  })
})

test('a replica whose state was wrong reads and writes again once somebody serves another', async () => {
  await using cluster = new Cluster()
  const [leader, follower] = await cluster.startLed(1)
  let alone = true
  const libp2p = { connectionGater: { denyDialPeer: () => alone } }
  const wrong = await cluster.start({ lead: false, libp2p, ...TIMES })
  await Promise.all([follower!.replica.inSync(), wrong.replica.inSync()])
  wrong.journal.twist = (text) => (text === 'a' ? 'something else' : text)
  await leader.replica.submit(line('a'))
  await leader.replica.mark()
  await when(wrong.replica, 'state', () => wrong.replica.state === 'lost')
  await expect(wrong.replica.submit(line('b'))).rejects.toMatchObject({ name: 'Diverged' })
  alone = false
  await when(wrong.replica, 'state', () => wrong.replica.state === 'in-sync')
  wrong.replica.assertReadable()
  expect((await wrong.replica.submit(line('c'))).result).toBe(2)
  expect(wrong.journal.lines).toEqual(['a', 'c'])
})

describe('a caller that gives a time', () => {
  /** It can reach nobody who would serve it the state, and nobody has refused it. */
  async function startAlone(cluster: Cluster): Promise<[Replica<number>, leader: string]> {
    const [leader] = await cluster.startLed(0)
    for (const text of ['a', 'b', 'c']) await leader.replica.submit(line(text))
    await leader.replica.prune({ keepEntries: 0 })
    const libp2p = { connectionGater: { denyDialPeer: () => true } }
    const { replica } = await cluster.start({ lead: false, libp2p, ...TIMES })
    await next(replica, 'problem')
    return [replica, leader.replica.id]
  }
  const waits = (replica: Replica<number>, signal: AbortSignal) => [
    replica.submit(line('z'), { signal }),
    replica.inSync({ signal }),
    replica.barrier({ signal }),
    replica.reached({ ...replica.position, index: 1_000 }, { signal }),
    replica.rootAt({ ...replica.position, index: 1_000 }, { signal }),
    replica.mark({ signal }),
  ]

  test('is told where the replica stands, and why', async () => {
    await using cluster = new Cluster()
    const [replica, leader] = await startAlone(cluster)
    for (const waiting of waits(replica, AbortSignal.timeout(100))) {
      const error = (await waiting.catch((reason: unknown) => reason)) as Error
      expect(error).toMatchObject({ name: 'NotInTime', cause: { name: 'TimeoutError' } })
      expect(error.message).toMatch(
        /^\w+\(\) took longer than it was given: this replica is catching-up at \w+:0; its newest/,
      )
      expect(error.message).toContain(`${leader} cannot be reached`)
    }
  })

  test('and one that has a reason of its own gets that', async () => {
    await using cluster = new Cluster()
    const [replica] = await startAlone(cluster)
    const reason = new Error('it is not wanted any more')
    const abort = new AbortController()
    const waiting = waits(replica, abort.signal)
    abort.abort(reason)
    for (const one of waiting) await expect(one).rejects.toBe(reason)
  })
})
