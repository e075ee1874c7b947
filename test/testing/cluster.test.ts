import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NotLeader } from '../../src/sync/wire/errors.ts'
import { type Cluster, startCluster } from '../../src/testing/index.ts'
import { allowFault } from '../setup/strict.ts'
import { running } from './processes.ts'

const tally = new URL('./tally-process.ts', import.meta.url)

describe('three replicas of the built-in map', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await startCluster({ replicas: 3, options: { volatile: true, snapshotAfter: Infinity } })
  })

  afterAll(async () => {
    await cluster.stop()
    expect(running(cluster.replicas.map((replica) => replica.pid))).toEqual([])
  })

  test('what one sets, another gets after a barrier', async () => {
    const [first, second] = cluster.replicas
    await first!.set('greeting', { text: 'hello' })
    await second!.barrier()
    expect(await second!.get('greeting')).toEqual({ text: 'hello' })
  })

  test('every method of the map is at hand', async () => {
    const [first] = cluster.replicas
    expect(
      (
        await first!.setMany([
          ['m/1', 1],
          ['m/2', 2],
          ['m/3', 3],
        ])
      ).result,
    ).toEqual({ added: 3, replaced: 0 })
    expect((await first!.delete('m/1')).result).toBe(true)
    expect((await first!.deleteMany(['m/2', 'm/4'])).result).toBe(1)
    expect(await first!.entries()).toContainEqual(['m/3', 3])
    await first!.clear()
    expect(await first!.size()).toBe(0)
  })

  test('fill sets one entry a command, or many, and resolves with the last position', async () => {
    const [first, second, third] = cluster.replicas
    const before = (await first!.status()).position.index
    const single = await first!.fill({ count: 500, prefix: 'single-', valueBytes: 20 })
    const batched = await second!.fill({ count: 500, prefix: 'batched-', from: 7, batch: 100 })
    expect(single.index - before).toBeGreaterThanOrEqual(500)
    expect(batched.index - single.index).toBeLessThan(50)
    await third!.barrier()
    const filled = await third!.entries<string>()
    expect(filled.filter(([key]) => key.startsWith('single-'))).toHaveLength(500)
    expect(filled.find(([key]) => key === 'batched-00000506')?.[1]).toHaveLength(100)
  })

  test('a background writer counts what was acknowledged', async () => {
    const [first, second] = cluster.replicas
    await first!.startWriting({ perSecond: 200, prefix: 'background-' })
    const written = async () =>
      (await second!.entries()).filter(([key]) => key.startsWith('background-')).length
    await cluster.waitUntil('20 were written', async () => (await written()) >= 20)
    const acknowledged = await first!.stopWriting()
    await second!.barrier()
    expect(await written()).toBe(acknowledged)
  })

  test('a paused process does not answer until it is resumed', async () => {
    const leader = await cluster.leader()
    const paused = cluster.replicas.find((replica) => replica !== leader)!
    paused.pause()
    let answered = false
    const answer = paused.size().finally(() => {
      answered = true
    })
    await cluster.waitUntil('the paused one is no longer a member', async () => {
      const { members } = await leader.status()
      return members.every(({ id }) => id !== paused.id)
    })
    expect([paused.paused, answered]).toEqual([true, false])
    paused.resume()
    expect([await answer, paused.paused]).toEqual([await leader.size(), false])
  })

  test('a newcomer catches up from a snapshot, and the events tell how', async () => {
    const leader = await cluster.leader()
    await leader.fill({ count: 1_000, prefix: 'newcomer-' })
    expect(await leader.prune({ keepEntries: 1 })).toBeGreaterThan(0)
    const newcomer = await cluster.start({ name: 'newcomer' })
    await newcomer.inSync()
    const { detail: caughtUp } = await newcomer.waitFor((event) => event.type === 'caught-up')
    const installed = newcomer.events.some(
      ({ type, detail }) =>
        type === 'sync' && detail.type === 'session' && detail.state.status === 'installing',
    )
    expect([installed, newcomer.lastEvent('state')?.detail.state]).toEqual([true, 'in-sync'])

    const { detail: cut } = await leader.waitFor(
      ({ type, detail }) => type === 'sync' && detail.type === 'cut',
    )
    expect(cut).toMatchObject({ anchor: caughtUp.anchor, root: await leader.rootAt(caughtUp.anchor) })

    const bytesServed = () =>
      cluster.replicas
        .flatMap(
          ({ events }) => events.findLast((e) => e.type === 'sync' && e.detail.type === 'served') ?? [],
        )
        .reduce((sum, { detail }) => sum + ('bytes' in detail ? detail.bytes : 0), 0)
    await cluster.waitUntil('all that was fetched was served', () => bytesServed() === caughtUp.bytesFetched)
  })

  test('replicas agree on the root at a mark', async () => {
    const anchor = await (await cluster.leader()).mark()
    const roots = await Promise.all(cluster.replicas.map((replica) => replica.rootAt(anchor)))
    expect(roots[0]).toMatch(/^[0-9a-f]{64,128}$/)
    expect(new Set(roots).size).toBe(1)
  })

  test('errors of the replica come back as themselves, with their fields', async () => {
    const leader = await cluster.leader()
    const other = cluster.replicas.find((replica) => replica !== leader)!
    const refused = await other.prune().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(NotLeader)
    expect(refused).toMatchObject({ name: 'NotLeader', code: 'NOT_LEADER', leader: leader.id })
  })

  test('a condition that does not come true is told with the logs', async () => {
    const waiting = cluster.waitUntil('pigs fly', () => false, { timeoutMs: 300 })
    await expect(waiting).rejects.toMatchObject({
      name: 'ConditionTimeout',
      what: 'pigs fly',
      timeoutMs: 300,
    })
  })

  test('a paused leader can be killed, and another one takes office', async () => {
    const killed = await cluster.leader()
    killed.pause()
    const pending = expect(killed.size()).rejects.toMatchObject({
      name: 'ProcessEnded',
      exit: { signal: 'SIGKILL' },
    })
    expect(await killed.kill()).toEqual({ code: null, signal: 'SIGKILL' })
    await pending
    expect([killed.running, running([killed.pid])]).toEqual([false, []])
    expect((await cluster.leader()).id).not.toBe(killed.id)
  })
})

describe('a program of your own', () => {
  test('replicates its machine, and answers its methods', async () => {
    await using cluster = await startCluster({ replicas: 2, program: tally })
    const [first, second] = cluster.replicas
    await first!.call('add', 'apples', 3)
    await second!.call('add', 'apples', 4)
    await first!.barrier()
    expect(await first!.call('total', 'apples')).toBe(7)
    const bytes = Uint8Array.of(1, 2, 3)
    expect(await first!.call('echo', { bytes, at: new Date(0) })).toEqual({ bytes, at: new Date(0) })
    await expect(first!.call('subtract')).rejects.toMatchObject({ name: 'NoSuchMethod', method: 'subtract' })
    await first!.call('log', 'a line of its own')
    const waiting = cluster.waitUntil('pigs fly', () => false, { timeoutMs: 1_000 })
    await expect(waiting).rejects.toThrow(/until pigs fly\nreplica-1 \(in-sync\)\n {2}\| a line of its own/)
  })

  test('that fails to start says why', async () => {
    allowFault(/ Cannot find module /)
    await using cluster = await startCluster({ replicas: 1 })
    const mismatch = { name: 'LogMismatch', field: 'signature', expected: 'tally/1' }
    await expect(cluster.start({ program: tally })).rejects.toMatchObject(mismatch)
    const missing = new URL('./missing.ts', import.meta.url)
    await expect(cluster.start({ program: missing })).rejects.toThrow(
      /ended with code 1(.|\n)*Cannot find module/,
    )
  })

  test('that crashes fails what waits for it, and the stop of its cluster', async () => {
    allowFault(/ a bug in the program$/m)
    const cluster = await startCluster({ replicas: 1, program: tally })
    const [replica] = cluster.replicas
    const crash = {
      name: 'ProcessEnded',
      exit: { code: 1 },
      message: expect.stringContaining('a bug in the program'),
    }
    const waiting = expect(replica!.waitFor(({ type }) => type === 'divergence')).rejects.toMatchObject(crash)
    await expect(replica!.call('crash')).rejects.toMatchObject(crash)
    await waiting
    // It is gone already: that somebody wants it gone now excuses nothing.
    await replica!.kill()
    await expect(cluster.stop()).rejects.toMatchObject(crash)
  })
})
