import { describe, expect, test } from 'vitest'
import { type Control, encodeControl } from '../../src/group/control.ts'
import { LogUnavailable } from '../../src/log/errors.ts'
import type { Log, LogBackend, NewEntry, SignalOptions } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import type { Installation } from '../../src/machine/machine.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { createReplica } from '../../src/replica/start.ts'
import { altered, alteredLog, Cluster, FlakyLog, leads, next, TIMES, when } from './cluster.ts'
import { Journal, line } from './journal.ts'

const named = (name: string) => expect.objectContaining({ name })
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => String(from + n))

const controls = (...list: Control[]): NewEntry[] =>
  list.map((control) => ({ kind: 'control', payload: encodeControl(control) }))

const tear = () => {
  throw new Error('the journal tore')
}

/** Nothing of what it waits for will ever come. */
const FAR = 1_000_000

describe('inSync()', () => {
  /** A log whose new entries a replica hears of once the gate is open, as if its process were stopped until then. */
  const behindGate = (log: LogBackend, gate: { open: Promise<void> }, bounds: (log: Log) => Log['bounds']) =>
    alteredLog(log, (handle) => ({
      bounds: bounds(handle),
      async *follow(cursor, options) {
        for await (const batch of handle.follow(cursor, options)) {
          await gate.open
          yield batch
        }
      },
    }))
  const asItIs = (log: Log) => log.bounds.bind(log)

  test('resolves with what was written while the replica did not look, not with what it knew before', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    const gate = { open: Promise.resolve() }
    const log = behindGate(cluster.log, gate, asItIs)
    const { replica, journal } = await cluster.start({ lead: false, log })
    await replica.inSync()
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.open = promise
    await Promise.all(numbers(1, 500).map((text) => leader.replica.submit(line(text))))
    expect([replica.state, journal.lines]).toEqual(['in-sync', []])
    const seen = replica.inSync().then(() => journal.lines.length)
    resolve()
    expect(await seen).toBe(500)
  })

  test('waits while the log cannot be reached', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    let unreachable = 0
    const log = behindGate(cluster.log, { open: Promise.resolve() }, (handle) => async (options) => {
      if (unreachable === 0) return await handle.bounds(options)
      unreachable--
      throw new LogUnavailable()
    })
    const { replica } = await cluster.start({ lead: false, log })
    await replica.inSync()
    unreachable = 2
    const waiting = replica.inSync().then(() => unreachable)
    await leader.replica.submit(line('a'))
    expect(await waiting).toBe(0)
  })

  test('is told what ends the replica while it waits for the end of the log', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    const gate = { open: Promise.resolve() }
    const { replica } = await cluster.start({ lead: false, log: behindGate(cluster.log, gate, asItIs) })
    await replica.inSync()
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.open = promise
    await leader.replica.submit(line('a'))
    const failure = expect(replica.inSync()).rejects.toEqual(named('ReplicaStopped'))
    const aborted = expect(replica.inSync({ signal: AbortSignal.abort() })).rejects.toEqual(
      named('AbortError'),
    )
    const stopped = replica.stop()
    resolve()
    await Promise.all([stopped, failure, aborted])
  })
})

describe('writes and reads', () => {
  test('a write resolves with its position and what the machine made of it', async () => {
    await using cluster = new Cluster()
    const [{ replica, journal }] = await cluster.startLed(0)
    const first = await replica.submit(line('a'))
    const second = await replica.submit(line('b'))
    expect([first.result, second.result]).toEqual([1, 2])
    expect(second.position).toEqual({ epoch: replica.position.epoch, index: first.position.index + 1 })
    expect(journal.lines).toEqual(['a', 'b'])
  })

  test('each of many writes at once gets its own result', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1)
    const writes = numbers(1, 100).map(async (text, n) => {
      const { replica, journal } = n % 2 === 0 ? one : two!
      const { result } = await replica.submit(line(text))
      return journal.lines[result! - 1] === text
    })
    expect(await Promise.all(writes)).not.toContain(false)
  })

  test('after a barrier one reads what others wrote before it', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1)
    for (const text of numbers(1, 20)) {
      await one.replica.submit(line(text))
      await two!.replica.barrier()
      expect(two!.journal.lines.at(-1)).toBe(text)
    }
  })

  test('reached waits for a position, and no longer', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1)
    const { epoch, index } = one.replica.position
    const reached = two!.replica.reached({ epoch, index: index + 3 })
    const { position } = await one.replica.submit(line('a'))
    await two!.replica.reached(position)
    await one.replica.submit(line('b'))
    await one.replica.submit(line('c'))
    await reached
    expect(two!.replica.position.index).toBeGreaterThanOrEqual(index + 3)
  })

  test('a position of another epoch is never reached', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start()
    await expect(replica.reached({ epoch: 'older', index: 1 })).rejects.toEqual(named('EpochChanged'))
  })

  test.each([Number.NaN, -1, 0.5, '5' as unknown as number])(
    'an index of %s is no position',
    async (index) => {
      await using cluster = new Cluster()
      const { replica } = await cluster.start()
      const { epoch } = replica.position
      await expect(replica.reached({ epoch, index })).rejects.toThrow(RangeError)
    },
  )

  test('a wait ends when its signal aborts', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start()
    const stop = new AbortController()
    const { epoch } = replica.position
    const waits = [
      replica.reached({ epoch, index: FAR }, stop),
      replica.reached({ epoch, index: FAR }, { signal: AbortSignal.abort(new Error('enough')) }),
      replica.inSync({ signal: AbortSignal.abort(new Error('enough')) }),
      replica.submit(line('a'), { signal: AbortSignal.abort(new Error('enough')) }),
    ]
    stop.abort(new Error('enough'))
    for (const wait of waits) await expect(wait).rejects.toThrow('enough')
  })

  test('a command that the machine does not understand is skipped on every replica, and told', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1)
    const skipped = [next(one.replica, 'skipped'), next(two!.replica, 'skipped')]
    const { position, result } = await one.replica.submit(line('malformed'))
    expect(result).toBeUndefined()
    for (const { entry, why } of await Promise.all(skipped)) {
      expect([entry.index, why]).toEqual([position.index, 'a journal does not take this line'])
    }
    await one.replica.submit(line('fine'))
    await two!.replica.barrier()
    expect([one.journal.lines, two!.journal.lines]).toEqual([['fine'], ['fine']])
  })
})

describe('applying', () => {
  test('leaves the event loop to others, however small the batches are', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0)
    let turned = false
    setImmediate(() => {
      turned = true
    })
    const beganMs = performance.now()
    while (performance.now() - beganMs < 1_000 && !turned) await replica.submit(line('a'))
    expect(turned).toBe(true)
  })
})

describe('catching up', () => {
  test('a joiner whose log was pruned gets the state from its peers', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(1)
    for (const text of numbers(1, 60)) await one.replica.submit(line(text))
    expect(await one.replica.prune({ keepEntries: 5 })).toBeGreaterThan(50)
    const joiner = await cluster.start({ lead: false })
    expect(() => joiner.replica.assertReadable()).toThrow(named('NotReadable'))
    const [report] = await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
    await joiner.replica.barrier()
    expect(joiner.journal.lines).toEqual(numbers(1, 60))
    expect(report.anchor.index).toBeGreaterThan(60)
    expect(report.providersUsed.length).toBeGreaterThan(0)
    expect(report.totalMs).toBeGreaterThanOrEqual(report.replayMs)
    joiner.replica.assertReadable()
  })

  test('writing goes on while a joiner catches up, and it misses nothing', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(1)
    for (const text of numbers(1, 300)) await one.replica.submit(line(text))
    await one.replica.prune({ keepEntries: 0 })
    const joiner = await cluster.start({ lead: false })
    for (const text of numbers(301, 600)) await one.replica.submit(line(text))
    await joiner.replica.inSync()
    await joiner.replica.barrier()
    expect(joiner.journal.lines).toEqual(numbers(1, 600))
    await joiner.replica.submit(line('from the joiner'))
    await one.replica.barrier()
    expect(one.journal.lines.at(-1)).toBe('from the joiner')
  })

  test('one that is far behind prefers a snapshot to the log', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    for (const text of numbers(1, 60)) await one.replica.submit(line(text))
    const applied: string[] = []
    const journal = new Journal()
    journal.twist = (text) => {
      applied.push(text)
      return text
    }
    const joiner = await cluster.start({ lead: false, snapshotAfter: 20 }, journal)
    await joiner.replica.inSync()
    expect([journal.lines, applied]).toEqual([numbers(1, 60), []])
  })

  test('with nobody to serve one, one that is far behind replays the log', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    for (const text of numbers(1, 60)) await one.replica.submit(line(text))
    await one.replica.stop()
    const joiner = await cluster.start({ snapshotAfter: 20 })
    await joiner.replica.inSync()
    expect(joiner.journal.lines).toEqual(numbers(1, 60))
  })

  test('before a pruned log that nobody can serve there is no state, and this is said', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    for (const text of numbers(1, 10)) await one.replica.submit(line(text))
    await one.replica.prune({ keepEntries: 0 })
    await one.replica.stop()
    const joiner = await cluster.start({ requestTimeoutMs: 500 })
    await expect(joiner.replica.inSync()).rejects.toEqual(named('StateLost'))
    expect(joiner.replica.state).toBe('lost')
    expect(() => joiner.replica.assertReadable()).toThrow(named('StateLost'))
    expect(joiner.journal.lines).toEqual([])
  })

  test('one that could reach nobody is in sync once somebody serves', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0, { ttlMs: 60_000 })
    for (const text of numbers(1, 10)) await one.replica.submit(line(text))
    await one.replica.mark()
    await one.replica.prune({ keepEntries: 0 })
    let unreachable = true
    const joiner = await cluster.start({
      requestTimeoutMs: 500,
      lead: false,
      libp2p: { connectionGater: { denyDialPeer: () => unreachable } },
    })
    // Who announces a state, and cannot be reached, has not lost it.
    const problem = await next(joiner.replica, 'problem')
    expect([problem, joiner.replica.state]).toEqual([named('NoProvider'), 'catching-up'])
    expect(problem.message).toContain(`${one.replica.id} cannot be reached`)
    unreachable = false
    await when(joiner.replica, 'state', () => joiner.replica.state === 'in-sync')
    expect(joiner.journal.lines).toEqual(numbers(1, 10))
    joiner.replica.assertReadable()
  })
})

describe('leading', () => {
  test('who stops leading by stopping is followed at once, not after a lease', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0, { leaseMs: 20_000 })
    const two = await cluster.start({ leaseMs: 20_000 })
    await two.replica.inSync()
    await one.replica.stop()
    await leads(two.replica)
    expect(two.replica.term).toBe(2)
  }, 10_000)

  test('who leads and cannot read the log is followed at once, not after a lease', async () => {
    await using cluster = new Cluster()
    const log = new FlakyLog(cluster.log)
    const [one] = await cluster.startLed(0, { leaseMs: 20_000, log })
    const two = await cluster.start({ leaseMs: 20_000 })
    await two.replica.inSync()
    log.readable = 'nothing'
    await two.replica.submit(line('a'))
    await leads(two.replica)
    expect(one.replica.state).toBe('following')
    log.readable = 'all'
    await one.replica.inSync()
    expect([one.journal.lines, one.replica.leader]).toEqual([['a'], two.replica.id])
  }, 10_000)

  test('a reader never leads', async () => {
    await using cluster = new Cluster()
    const reader = await cluster.start({ lead: false, leaseMs: 300 })
    const one = await cluster.start({ leaseMs: 300 })
    await leads(one.replica)
    await reader.replica.barrier()
    expect([reader.replica.leader, reader.replica.term]).toEqual([one.replica.id, 1])
  })

  test('only the leader prunes', async () => {
    await using cluster = new Cluster()
    const [, two] = await cluster.startLed(1)
    await expect(two!.replica.prune()).rejects.toEqual(named('NotLeader'))
  })

  test('nobody prunes without volatile', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0, { volatile: false })
    await expect(one.replica.prune()).rejects.toEqual(named('PruneRefused'))
    await expect(cluster.start({ volatile: false, prune: {} })).rejects.toEqual(named('PruneRefused'))
  })

  test('a prune tells up to where the log is pruned, which it is by then', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    for (const text of numbers(1, 20)) await one.replica.submit(line(text))
    const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    for (let n = 0; n < 5; n++) {
      await one.replica.submit(line('more'))
      const upTo = await one.replica.prune({ keepEntries: 3 })
      expect(upTo).toBeGreaterThan(0)
      expect((await handle.bounds()).first).toBe(upTo + 1)
    }
  })

  test('a prune stops before an anchor that is offered', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(1, { ttlMs: 60_000 })
    await one.replica.submit(line('a'))
    const anchor = await one.replica.mark()
    await one.replica.reached(anchor)
    for (const text of numbers(1, 20)) await one.replica.submit(line(text))
    expect(await one.replica.prune({ keepEntries: 0 })).toBe(anchor.index - 1)
  })

  test('a leader with a policy prunes by itself', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0, { prune: { keepEntries: 5, intervalMs: 50 } })
    const pruned = next(one.replica, 'pruned')
    for (const text of numbers(1, 20)) await one.replica.submit(line(text))
    expect((await pruned).upTo).toBeGreaterThan(0)
  })

  test('a marker is captured and sealed by all, with one root', async () => {
    await using cluster = new Cluster()
    const [one, two, three] = await cluster.startLed(2)
    await one.replica.submit(line('a'))
    const sealed = next(three!.replica, 'sealed')
    const anchor = await two!.replica.mark()
    const roots = await Promise.all([one, two!, three!].map(({ replica }) => replica.rootAt(anchor)))
    expect(roots[1]).toEqual(roots[0])
    expect(roots[2]).toEqual(roots[0])
    expect(await sealed).toEqual({ anchor, root: roots[0] })
    await expect(one.replica.rootAt({ ...anchor, index: 1 })).rejects.toThrow(RangeError)
  })
})

describe('what goes wrong', () => {
  test('a machine that fails halts its replica, and the write that did it rejects', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    await one.replica.submit(line('a'))
    const failed = await one.replica.submit(line('unbearable')).catch((error: unknown) => error)
    expect(failed).toMatchObject({ name: 'ApplyFailed', position: { index: one.replica.position.index + 1 } })
    expect([one.replica.state, one.journal.lines]).toEqual(['halted', ['a']])
    await expect(one.replica.inSync()).rejects.toBe(failed)
    await expect(one.replica.submit(line('b'))).rejects.toBe(failed)
    await expect(one.replica.barrier()).rejects.toBe(failed)
  })

  test('what was applied before a failure in the same batch counts as reached', async () => {
    await using cluster = new Cluster()
    const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    const commands = ['a', 'b', 'unbearable'].map((text) => ({
      kind: 'command' as const,
      payload: line(text),
    }))
    const { replica, journal } = await cluster.start({ lead: false })
    await replica.inSync()
    const { epoch } = replica.position
    const reached = Promise.allSettled([1, 2, 3].map((index) => replica.reached({ epoch, index })))
    await handle.append(commands)
    expect((await reached).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(journal.lines).toEqual(['a', 'b'])
  })

  test.each<[what: string, refusal: Partial<Installation>]>([
    ['an item of', { add: tear }],
    ['the whole of', { commit: tear }],
  ])(
    'a machine that refuses %s a snapshot halts its replica, which fetches no other',
    async (_what, refusal) => {
      await using cluster = new Cluster()
      const [one] = await cluster.startLed(0)
      for (const text of numbers(1, 10)) await one.replica.submit(line(text))
      await one.replica.prune({ keepEntries: 0 })
      const journal = new Journal()
      const install = journal.install.bind(journal)
      journal.install = () => ({ ...install(), ...refusal })
      const joiner = await cluster.start({ lead: false }, journal)
      let sessions = 0
      joiner.replica.addEventListener('sync', ({ detail }) => {
        if (detail.type === 'session' && detail.state.status === 'requesting') sessions++
      })
      await expect(joiner.replica.inSync()).rejects.toEqual(named('InstallFailed'))
      expect([joiner.replica.state, sessions, journal.lines]).toEqual(['halted', 1, []])
    },
  )

  test('one that halts before it has caught up does not hold the log any longer', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    for (const text of numbers(1, 10)) await one.replica.submit(line(text))
    await one.replica.prune({ keepEntries: 0 })
    const journal = new Journal()
    journal.twist = tear
    const joiner = await cluster.start({ lead: false }, journal)
    const announcements = cluster.announcements(joiner.replica.id)
    joiner.replica.addEventListener('sync', ({ detail }) => {
      // What is replayed after the snapshot, and tears the journal.
      if (detail.type === 'session' && detail.state.status === 'installing')
        void one.replica.submit(line('11'))
    })
    const needed: number[] = []
    for await (const { state, needs } of announcements) {
      needed.push(needs)
      if (state === 'halted') break
    }
    expect(Math.max(...needed)).toBeGreaterThan(10)
    expect(needed.at(-1)).toBe(0)
  })

  test('a replica that halted still serves what it offers', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1, { ttlMs: 60_000 })
    for (const text of numbers(1, 20)) await one.replica.submit(line(text))
    const anchor = await one.replica.mark()
    await Promise.all([one, two!].map(({ replica }) => replica.rootAt(anchor)))
    await one.replica.prune({ keepEntries: 0 })
    two!.journal.twist = () => {
      throw new Error('the journal tore')
    }
    await one.replica.submit(line('21'))
    await when(two!.replica, 'state', () => two!.replica.state === 'halted')
    await one.replica.stop()
    const joiner = await cluster.start({ lead: false })
    const [report] = await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
    expect(report.providersUsed).toEqual([two!.replica.id])
    expect(joiner.journal.lines).toEqual(numbers(1, 21))
  })

  test('a replica whose state is not what the others agreed on says so, and gets theirs', async () => {
    await using cluster = new Cluster()
    const [one, two, three] = await cluster.startLed(2)
    three!.journal.twist = (text) => (text === 'b' ? 'something else' : text)
    for (const text of ['a', 'b', 'c']) await one.replica.submit(line(text))
    const divergence = next(three!.replica, 'divergence')
    const caughtUp = next(three!.replica, 'caught-up')
    const anchor = await one.replica.mark()
    const { root, sealed, ...where } = await divergence
    expect(where).toEqual({ anchor, replica: three!.replica.id })
    expect(Buffer.compare(root, sealed)).not.toBe(0)
    expect(sealed).toEqual(await two!.replica.rootAt(anchor))
    await caughtUp
    await three!.replica.barrier()
    expect([three!.journal.lines, three!.replica.state]).toEqual([['a', 'b', 'c'], 'in-sync'])
  })

  test('a leader whose state is not what the others agreed on hands over, and gets theirs', async () => {
    await using cluster = new Cluster()
    const one = await cluster.start()
    await leads(one.replica)
    const two = await cluster.start()
    const three = await cluster.start()
    await Promise.all([two, three].map(({ replica }) => replica.inSync()))
    one.journal.twist = (text) => (text === 'b' ? 'something else' : text)
    for (const text of ['a', 'b', 'c']) await one.replica.submit(line(text))
    const caughtUp = next(one.replica, 'caught-up')
    await one.replica.mark()
    await caughtUp
    await one.replica.barrier()
    expect(one.journal.lines).toEqual(['a', 'b', 'c'])
    expect([two.replica.id, three.replica.id]).toContain(one.replica.leader)
  })

  test('two anchors of one wrong state are one divergence', async () => {
    await using cluster = new Cluster()
    const open = (author: string) => cluster.log.open({ group: 'journals', signature: 'journal/1', author })
    const [x, y] = await Promise.all([open('x'), open('y')])
    const { replica } = await cluster.start({ lead: false })
    const marker: Control = {
      type: 'marker',
      term: 1,
      electorate: ['x', 'y'],
      requesters: [],
      chunkBytes: 50,
    }
    await x.append(controls({ type: 'claim', term: 1 }, marker, marker))
    const { epoch } = replica.position
    await Promise.all([2, 3].map((index) => replica.rootAt({ epoch, index })))
    const attested = [2, 3].map(
      (anchor): Control => ({ type: 'attestation', anchor, root: new Uint8Array(32) }),
    )
    let divergences = 0
    replica.addEventListener('divergence', () => void divergences++)
    await x.append(controls(...attested))
    await y.append(controls(...attested))
    await when(replica, 'state', () => replica.state === 'catching-up')
    await new Promise(setImmediate)
    expect(divergences).toBe(1)
  })

  test('a replica that diverges three times stops with Diverged, and the others go on', async () => {
    await using cluster = new Cluster()
    const [one, two, three] = await cluster.startLed(2, { ttlMs: 300 })
    three!.journal.twist = (text) => `${text}, or so`
    for (let n = 1; n <= 3; n++) {
      await three!.replica.inSync()
      await one.replica.submit(line(`line ${n}`))
      const divergence = next(three!.replica, 'divergence')
      const settled = n < 3 ? next(three!.replica, 'caught-up') : undefined
      await one.replica.mark()
      await divergence
      await settled
    }
    await when(three!.replica, 'state', () => three!.replica.state === 'halted')
    await expect(three!.replica.inSync()).rejects.toEqual(named('Diverged'))
    expect(three!.replica.offers).toEqual([])
    const { position } = await one.replica.submit(line('line 4'))
    await two!.replica.reached(position)
    expect(two!.journal.lines).toEqual(['line 1', 'line 2', 'line 3', 'line 4'])
    expect([one, two!].map(({ replica }) => replica.state)).toEqual(['in-sync', 'in-sync'])
  })

  test('a log that was made anew halts its replicas, which keep their state', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    await one.replica.submit(line('a'))
    cluster.log.recreate()
    await when(one.replica, 'state', () => one.replica.state === 'halted')
    await expect(one.replica.submit(line('b'))).rejects.toEqual(named('EpochChanged'))
    one.replica.assertReadable()
    expect(one.journal.lines).toEqual(['a'])
  })

  test('a log that was put back halts the replicas that had read further', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    const { position } = await one.replica.submit(line('a'))
    await one.replica.submit(line('b'))
    cluster.log.rewind(position.index)
    await when(one.replica, 'state', () => one.replica.state === 'halted')
    await expect(one.replica.inSync()).rejects.toEqual(named('LogRewound'))
    expect(one.journal.lines).toEqual(['a', 'b'])
  })
})

describe('ending', () => {
  test('what waits when a replica is stopped is rejected', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start()
    const { epoch } = replica.position
    const waits = [replica.inSync(), replica.reached({ epoch, index: FAR }), replica.mark()]
    const settled = Promise.allSettled(waits)
    await replica.stop()
    const [, reached, mark] = await settled
    expect(reached).toMatchObject({ status: 'rejected', reason: { name: 'ReplicaStopped' } })
    expect(mark).toMatchObject({ status: 'rejected', reason: { name: 'ReplicaStopped' } })
  })

  test('a stopped replica refuses whatever it is asked', async () => {
    await using cluster = new Cluster()
    const { replica } = await cluster.start()
    await replica.stop()
    await replica.stop()
    const { epoch } = replica.position
    for (const refused of [
      replica.inSync(),
      replica.submit(line('a')),
      replica.barrier(),
      replica.reached({ epoch, index: FAR }),
      replica.mark(),
      replica.prune(),
    ]) {
      await expect(refused).rejects.toEqual(named('ReplicaStopped'))
    }
    expect(replica.state).toBe('stopped')
  })

  test('a replica is stopped at the end of its block, and leaves the group', async () => {
    await using cluster = new Cluster()
    const { replica: witness } = await cluster.start()
    await leads(witness)
    let id: string
    {
      await using replica = (await cluster.start()).replica
      id = replica.id
    }
    const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    expect((await handle.notices.read()).map(({ member }) => member)).not.toContain(id)
  })

  test('the last thing a leader announces is that it leads no more, and offers nothing', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0, { ttlMs: 60_000 })
    await replica.rootAt(await replica.mark())
    const announcements = cluster.announcements(replica.id)
    expect((await announcements.next()).value).toMatchObject({ state: 'in-sync' })
    expect(replica.offers).toHaveLength(1)
    await replica.stop()
    expect((await announcements.next()).value).toMatchObject({ state: 'stopped', leads: 0, offers: [] })
  })

  test.each<[who: string, lead: boolean]>([
    ['leader', true],
    ['follower', false],
  ])('a %s stops although the presence store takes nothing any more', async (_who, lead) => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    let takes = true
    const held = Promise.withResolvers<void>()
    const log = alteredLog(cluster.log, ({ notices }) => {
      const orHold = (write: () => Promise<void>, { signal }: SignalOptions = {}) => {
        if (takes) return write()
        held.resolve()
        return new Promise<void>((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
        })
      }
      return {
        notices: altered(notices, {
          announce: (member, data, ttlMs, options) =>
            orHold(() => notices.announce(member, data, ttlMs, options), options),
          withdraw: (member, options) => orHold(() => notices.withdraw(member, options), options),
        }),
      }
    })
    const { replica } = await cluster.start({ lead, log })
    await replica.inSync()
    if (lead) {
      await one.replica.stop()
      await leads(replica)
    }
    takes = false
    await held.promise
    await replica.stop()
    expect(replica.state).toBe('stopped')
  })

  test('a replica is stopped at once although its only peer is silent', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0)
    for (const text of numbers(1, 10)) await one.replica.submit(line(text))
    await one.replica.prune({ keepEntries: 0 })
    const joiner = await cluster.start({
      lead: false,
      requestTimeoutMs: 60_000,
      fetchTimeoutMs: 60_000,
      // Nothing is ever refused or accepted: the dial hangs, as to a paused process.
      libp2p: { connectionGater: { denyDialPeer: () => new Promise<boolean>(() => {}) } },
    })
    await next(joiner.replica, 'sync')
    const beganMs = performance.now()
    await joiner.replica.stop()
    expect(performance.now() - beganMs).toBeLessThan(TIMES.fetchTimeoutMs)
  })

  test('a machine serves one replica only', async () => {
    const machine = new ReplicatedMap()
    await using _first = await createReplica({ group: 'g', machine, log: memoryLog() })
    await expect(createReplica({ group: 'g', machine, log: memoryLog() })).rejects.toEqual(
      named('AlreadyAttached'),
    )
  })
})

test.each([
  { chunkBytes: 0 },
  { chunkBytes: 1.5 },
  { chunkBytes: 8 * 1024 * 1024 + 1 },
  { leaseMs: 0 },
  { ttlMs: -1 },
  { requestTimeoutMs: Number.NaN },
  { snapshotAfter: Number.NaN },
])('an option out of its bounds is refused: %o', async (init) => {
  await using cluster = new Cluster()
  await expect(cluster.start(init)).rejects.toThrow(RangeError)
})
