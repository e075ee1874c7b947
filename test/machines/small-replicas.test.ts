import { once as onceEvent } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ReplicatedOnce } from '../../src/machines/once/replicated-once.ts'
import { ReplicatedPriorityQueue } from '../../src/machines/queue/replicated-priority-queue.ts'
import { ReplicatedRegister } from '../../src/machines/register/replicated-register.ts'
import type { Replicated } from '../../src/machines/replicated.ts'
import { ReplicatedSet } from '../../src/machines/set/replicated-set.ts'
import { next } from '../replica/cluster.ts'
import { MachineGroup, type Member, settled } from '../replica/machine-group.ts'

const ELEMENTS = Array.from({ length: 300 }, (_, n) => `element ${String(n).padStart(3, '0')}`)

/** The elements by their number modulo 7, without the one that is popped; the first one is moved to the end. */
const QUEUED = [0, 1, 2, 3, 4, 5, 6]
  .flatMap((priority) => ELEMENTS.filter((_, n) => n % 7 === priority && n !== 0))
  .filter((element) => element !== ELEMENTS[6])
  .concat(ELEMENTS[0]!)

type AnyMachine = Replicated<unknown, unknown>

/** What every machine must go through: how to fill one, read it whole, and twist one behind the log's back. */
interface Subject<M extends AnyMachine> {
  readonly make: () => M
  readonly fill: (machine: M) => Promise<unknown>
  readonly more: (machine: M) => Promise<unknown>
  readonly read: (machine: M) => unknown
  /** One command that the group knows nothing of. */
  readonly twist: (machine: M) => Uint8Array
  readonly filled: unknown
  readonly after: unknown
}

const set: Subject<ReplicatedSet> = {
  make: () => new ReplicatedSet(),
  async fill(machine) {
    await machine.addMany(ELEMENTS)
    await machine.delete(ELEMENTS[7]!)
    await machine.add('mortal', { ttlMs: 3_600_000 })
  },
  more: (machine) => machine.add('more'),
  read: (machine) => [...machine],
  twist: ({ commands }) => commands.add('element 000b'),
  filled: [...ELEMENTS.filter((_, n) => n !== 7), 'mortal'],
  after: [...ELEMENTS.filter((_, n) => n !== 7), 'more', 'mortal'],
}

const queue: Subject<ReplicatedPriorityQueue<number, string, number>> = {
  make: () => new ReplicatedPriorityQueue<number, string, number>(),
  async fill(machine) {
    await machine.extend(ELEMENTS.map((element, n) => [n % 7, element, n] as const))
    await machine.insert(-1, 'mortal', 0, { ttlMs: 3_600_000 })
    await machine.popMax()
    await machine.setPriority(ELEMENTS[0]!, 9)
  },
  more: (machine) => machine.popMin(),
  read: (machine) =>
    machine
      .range()
      .map(({ key }) => key)
      .toArray(),
  twist: ({ commands }) => commands.insert(100, 'twisted', 0),
  filled: ['mortal', ...QUEUED],
  after: QUEUED,
}

const register: Subject<ReplicatedRegister<string>> = {
  make: () => new ReplicatedRegister<string>(),
  async fill(machine) {
    await machine.set('first')
    await machine.compareAndSet('first', 'second', { ttlMs: 3_600_000 })
  },
  more: (machine) => machine.set('third'),
  read: (machine) => machine.get(),
  twist: ({ commands }) => commands.set('twisted'),
  filled: 'second',
  after: 'third',
}

const once: Subject<ReplicatedOnce<string>> = {
  make: () => new ReplicatedOnce<string>(),
  fill: (machine) => machine.set('first'),
  more: (machine) => machine.set('second'),
  read: (machine) => machine.get(),
  twist: ({ commands }) => commands.set('twisted'),
  filled: 'first',
  after: 'first',
}

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'anchorage-small-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

function goesThroughAll<M extends AnyMachine>({
  make,
  fill,
  more,
  read,
  twist,
  filled,
  after,
}: Subject<M>): void {
  type Of = Member<M>

  test('a joiner has the state of its peers, follows them, and writes to it', async () => {
    await using group = new MachineGroup(make)
    const [leader] = await group.startLed(0)
    await fill(leader!.machine)
    expect(await leader!.replica.prune({ keepEntries: 0 })).toBeGreaterThan(0)
    const joiner = await group.start({ lead: false })
    await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
    await settled([joiner])
    expect(read(joiner.machine)).toEqual(filled)
    await more(joiner.machine)
    await settled([leader!])
    expect([read(leader!.machine), read(joiner.machine)]).toEqual([after, after])
    const anchor = await leader!.replica.mark()
    await joiner.replica.reached(anchor)
    expect(await joiner.replica.rootAt(anchor)).toEqual(await leader!.replica.rootAt(anchor))
  })

  test('it is there again after a restart', async () => {
    await using group = new MachineGroup(make)
    const init = { volatile: false, dataDir }
    const first = await group.start(init)
    await first.replica.inSync()
    await fill(first.machine)
    await first.replica.stop()
    const machine = make()
    const reset = onceEvent(machine, 'reset')
    const second = await group.start(init, machine)
    await Promise.all([reset, second.replica.inSync()])
    expect(read(second.machine)).toEqual(filled)
  })

  test('a replica whose machine differs is named, and gets the state of the others', async () => {
    await using group = new MachineGroup(make)
    const [leader, , wrong] = (await group.startLed(2, { ttlMs: 60_000 })) as [Of, Of, Of]
    // Before the log's commands, because a first value stays; and after them, because a later one replaces it.
    wrong.machine.apply(twist(wrong.machine))
    await fill(leader.machine)
    await settled([wrong])
    wrong.machine.apply(twist(wrong.machine))
    expect(read(wrong.machine)).not.toEqual(filled)
    const named = next(leader.replica, 'divergence')
    const reset = onceEvent(wrong.machine, 'reset')
    await leader.replica.mark()
    expect((await named).replica).toBe(wrong.replica.id)
    await Promise.all([reset, wrong.replica.inSync()])
    expect(read(wrong.machine)).toEqual(filled)
  })
}

describe('a set', () => {
  goesThroughAll(set)

  test('loses its mortals on all replicas, without a write, and not before their time', async () => {
    await using group = new MachineGroup(set.make)
    const members = await group.startLed(1)
    const expired = members.map(({ machine }) => {
      const deaths: string[] = []
      return new Promise<string[]>((resolve) => {
        machine.addEventListener('change', ({ detail }) => {
          if (detail.type === 'expire' && deaths.push(detail.value) === 2) resolve(deaths)
        })
      })
    })
    await members[1]!.machine.addMany(['a', 'b'], { ttlMs: 300 })
    await members[0]!.machine.add('c')
    expect(members[1]!.machine.has('a')).toBe(true)
    for (const deaths of await Promise.all(expired)) expect(deaths.sort()).toEqual(['a', 'b'])
    for (const { machine } of members) expect([...machine]).toEqual(['c'])
  })
})

describe('a priority queue', () => {
  goesThroughAll(queue)

  test('gives each item to one of all who pop at once', async () => {
    await using group = new MachineGroup(queue.make)
    const members = await group.startLed(2)
    await members[0]!.machine.extend(ELEMENTS.map((element, n) => [n, element, n] as const))
    const popped = await Promise.all(
      ELEMENTS.map(async (_, n) => (await members[n % 3]!.machine.popMin()).result!.key),
    )
    expect(popped.sort()).toEqual(ELEMENTS)
    for (const { machine } of members) expect((await machine.popMax()).result).toBeUndefined()
  })
})

describe('a register', () => {
  goesThroughAll(register)

  test('is a lock: one of all who compete has it, and after its death another', async () => {
    await using group = new MachineGroup(register.make)
    const members = await group.startLed(2)
    const compete = () =>
      Promise.all(
        members.map(({ machine, replica }) =>
          machine.compareAndSet(undefined, replica.id, { ttlMs: 300 }).then(({ result }) => result),
        ),
      )
    const died = new Promise((resolve) => {
      members[0]!.machine.addEventListener('change', ({ detail }) => {
        if (detail.type === 'expire') resolve(detail.previous)
      })
    })
    const outcomes = await compete()
    expect(outcomes.filter(Boolean)).toHaveLength(1)
    expect(await died).toBe(members[outcomes.indexOf(true)]!.replica.id)
    expect((await compete()).filter(Boolean)).toHaveLength(1)
  })
})

describe('what is set once', () => {
  goesThroughAll(once)

  test('has one winner among all who write at once, and each knows', async () => {
    await using group = new MachineGroup(once.make)
    const members = await group.startLed(2)
    const late = await group.start({ lead: false })
    const waiting = [...members, late].map(({ machine }) => machine.whenSet())
    const results = await Promise.all(
      members.map(async ({ machine, replica }) => (await machine.set(replica.id)).result),
    )
    const winners = members.filter((_, n) => results[n]?.won)
    expect(winners).toHaveLength(1)
    const { id } = winners[0]!.replica
    expect(results.map((result) => result?.value)).toEqual([id, id, id])
    expect(await Promise.all(waiting)).toEqual([id, id, id, id])
  })

  test('is known to whoever waits on a replica without state, once it has a snapshot', async () => {
    await using group = new MachineGroup(once.make)
    const [leader] = await group.startLed(0)
    await leader!.machine.set('value')
    await leader!.replica.prune({ keepEntries: 0 })
    const machine = once.make()
    const waiting = machine.whenSet({ signal: AbortSignal.timeout(15_000) })
    await group.start({ lead: false }, machine)
    expect(await waiting).toBe('value')
  })
})
