import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GroupState } from '../../src/group/group-state.ts'
import type { MachineHost } from '../../src/machine/machine.ts'
import { compose } from '../../src/machines/compose/compose.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { KeptState } from '../../src/replica/disk/kept-state.ts'
import { Applier } from '../../src/replica/following/applier.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { Cluster, next } from './cluster.ts'
import { Journal, line } from './journal.ts'
import { MachineGroup } from './machine-group.ts'

const named = (name: string) => expect.objectContaining({ name })

/** A journal with an index of its lines by their first letter, which is in no snapshot. */
class IndexedJournal extends Journal {
  index = new Map<string, string[]>()
  /** What the making of the index waits for. */
  mayFinish: Promise<unknown> = Promise.resolve()
  readonly began = Promise.withResolvers<AbortSignal>()
  host: MachineHost<number> | undefined
  runs = 0

  attach(host: MachineHost<number>): void {
    this.host = host
  }

  override apply(command: Uint8Array): number {
    const count = super.apply(command)
    this.#add(this.lines.at(-1)!)
    return count
  }

  async afterInstall(signal: AbortSignal): Promise<void> {
    this.runs++
    this.index = new Map()
    this.began.resolve(signal)
    for (const text of this.lines) {
      await this.mayFinish
      this.#add(text)
    }
  }

  by(letter: string): readonly string[] {
    this.host?.assertReadable()
    return this.index.get(letter) ?? []
  }

  #add(text: string): void {
    this.index.set(text[0]!, [...(this.index.get(text[0]!) ?? []), text])
  }
}

/** A leader whose log begins after its first lines, so that others need its snapshot. */
async function pruned(cluster: Cluster, lines = ['ada', 'alan', 'bob']): Promise<void> {
  const [{ replica }] = await cluster.startLed(0, { ttlMs: 60_000 })
  for (const text of lines) await replica.submit(line(text))
  await replica.mark()
  await replica.prune({ keepEntries: 0 })
}

describe('a replica that installed a snapshot', () => {
  let cluster: Cluster

  beforeEach(async () => {
    cluster = new Cluster()
    await pruned(cluster)
  })

  afterEach(async () => {
    await cluster[Symbol.asyncDispose]()
  })

  test('is in sync, applies and answers reads when the machine is done with it, and not before', async () => {
    const journal = new IndexedJournal()
    const done = Promise.withResolvers<void>()
    journal.mayFinish = done.promise
    const { replica } = await cluster.start({ lead: false }, journal)
    await journal.began.promise
    expect(journal.lines).toEqual(['ada', 'alan', 'bob'])
    expect(() => journal.by('a')).toThrow(named('NotReadable'))
    expect(replica.state).toBe('catching-up')
    const written = replica.submit(line('alice'))
    const isOver: string[] = []
    const barrier = replica.barrier().then(() => void isOver.push('barrier'))
    const reached = replica.reached(replica.position).then(() => void isOver.push('reached'))
    const sync = replica.inSync().then(() => void isOver.push('inSync'))
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
    expect([isOver, journal.lines.length]).toEqual([[], 3])
    done.resolve()
    await Promise.all([barrier, reached, sync])
    expect(await written).toMatchObject({ result: 4 })
    expect(journal.by('a')).toEqual(['ada', 'alan', 'alice'])
    expect(journal.runs).toBe(1)
  })

  test('stops while the machine is at it, whatever that waits for', async () => {
    const journal = new IndexedJournal()
    journal.mayFinish = Promise.withResolvers().promise
    const { replica } = await cluster.start({ lead: false }, journal)
    const signal = await journal.began.promise
    await replica.stop()
    expect(signal.aborted).toBe(true)
    expect(replica.state).toBe('stopped')
  })

  test('halts if the machine fails at it, and is not read', async () => {
    const journal = new IndexedJournal()
    journal.mayFinish = Promise.reject(new Error('the index tore'))
    journal.mayFinish.catch(() => {})
    const { replica } = await cluster.start({ lead: false }, journal)
    await expect(replica.inSync()).rejects.toThrow('the index tore')
    expect(replica.state).toBe('halted')
    expect(() => journal.by('a')).toThrow(named('InstallFailed'))
  })
})

test('what the machine tells while it takes the new state comes before there is anything to read', async () => {
  const clock = new VirtualClock()
  const journal = new IndexedJournal()
  const group = new GroupState()
  const applier = new Applier({ machine: journal, epoch: 'e', self: 'me', clock, group })
  const install = journal.install.bind(journal)
  const seen: boolean[] = []
  journal.install = () => {
    const { add, commit } = install()
    return {
      add,
      commit: () => {
        commit()
        seen.push(applier.isInstalling)
      },
    }
  }
  const { signal } = new AbortController()
  const building = applier.beginInstall(signal, () => 'journal/1')
  await building.finish!()
  expect(applier.isInstalling).toBe(false)
  building.commit({ epoch: 'e', index: 9 }, group.encode())
  expect([seen, applier.isInstalling, journal.runs]).toEqual([[true], true, 0])
  await applier.finishInstall(signal)
  expect([applier.isInstalling, journal.runs]).toEqual([false, 1])
  await applier.finishInstall(signal)
  expect(journal.runs).toBe(1)
})

test('a state that the machine did not take leaves the old one to be read', async () => {
  const journal = new IndexedJournal()
  const clock = new VirtualClock()
  const group = new GroupState()
  const applier = new Applier({ machine: journal, epoch: 'e', self: 'me', clock, group })
  journal.install = () => ({
    add: () => {},
    commit: () => {
      throw new Error('the journal is full')
    },
  })
  const building = applier.beginInstall(new AbortController().signal, () => 'journal/1')
  await building.finish!()
  expect(() => building.commit({ epoch: 'e', index: 9 }, group.encode())).toThrow('is full')
  expect(applier.isInstalling).toBe(false)
})

test('a durable machine does it when its process begins', async () => {
  class DurableJournal extends IndexedJournal {
    readonly durable = {
      note: undefined as Uint8Array | undefined,
      commit: (note: Uint8Array | undefined) => {
        this.durable.note = note
      },
      discard: () => {},
    }
  }
  const journal = new DurableJournal()
  const begin = () => {
    const kept = new KeptState(journal.durable, 'g')
    kept.belongTo('e', { giveUp: false })
    const group = new GroupState()
    return new Applier({ machine: journal, epoch: 'e', self: 'me', clock: new VirtualClock(), group, kept })
  }
  const first = begin()
  expect(first.isInstalling).toBe(false)
  const entry = { index: 1, id: 'id', epoch: 'e', author: 'me', kind: 'command' as const, timestampMs: 1 }
  const { signal } = new AbortController()
  const batch = { entries: [{ ...entry, payload: line('ada') }], newest: entry }
  await first.apply(batch, { decided: () => {}, skipped: () => {} }, signal)
  journal.index.clear()
  const second = begin()
  expect(second.isInstalling).toBe(true)
  await second.finishInstall(signal)
  expect(journal.by('a')).toEqual(['ada'])
})

test('a checkpoint on the disk is an install, too', async () => {
  await using cluster = new Cluster()
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-index-'))
  try {
    const first = await cluster.start({ dataDir }, new IndexedJournal())
    await first.replica.inSync()
    await first.replica.submit(line('ada'))
    await first.replica.stop()
    const journal = new IndexedJournal()
    const second = await cluster.start({ dataDir }, journal)
    await second.replica.inSync()
    expect([journal.by('a'), journal.runs]).toEqual([['ada'], 1])
    await second.replica.stop()
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
})

describe('a composition', () => {
  const newState = () => compose({ map: new ReplicatedMap<string, number>(), journal: new IndexedJournal() })

  test('without such a part has nothing to do', () => {
    expect(compose({ map: new ReplicatedMap() }).afterInstall).toBeUndefined()
  })

  test('has its parts do it, and no part is read before', async () => {
    await using group = new MachineGroup(newState)
    const [leader] = await group.startLed(0, { ttlMs: 60_000 })
    const { journal, map } = leader!.machine
    await map.set('a', 1)
    await journal.host!.submit(line('ada'))
    await leader!.replica.mark()
    await leader!.replica.prune({ keepEntries: 0 })
    const machine = newState()
    const done = Promise.withResolvers<void>()
    machine.journal.mayFinish = done.promise
    const joiner = await group.start({ lead: false }, machine)
    await machine.journal.began.promise
    expect(() => machine.map.get('a')).toThrow(named('NotReadable'))
    const sync = next(joiner.replica, 'caught-up')
    done.resolve()
    await sync
    expect([machine.map.get('a'), machine.journal.by('a')]).toEqual([1, ['ada']])
  })
})
