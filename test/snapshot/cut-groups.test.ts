import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonCodec } from '../../src/machine/codec.ts'
import type { Snapshot, StateMachine } from '../../src/machine/machine.ts'
import { compose } from '../../src/machines/compose/compose.ts'
import { ReplicatedList } from '../../src/machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { ReplicatedPriorityQueue } from '../../src/machines/queue/replicated-priority-queue.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutHistory } from '../../src/snapshot/cut-history.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { rawCoder } from './raw-coder.ts'

/** So many items that a tree has several nodes above its leaves, some of them above 64 leaves. */
const ITEMS = 6_000

async function cutOf(snapshot: Snapshot, chunkBytes: number, history?: CutHistory): Promise<CutSnapshot> {
  const into = new CutSnapshot(rawCoder)
  const { signal } = new AbortController()
  const options = { control: new Uint8Array(), chunkBytes, clock: new VirtualClock(), signal, history }
  await cut(snapshot, into, options)
  return into
}

/** The same state item by item. */
function plain(snapshot: Snapshot): Snapshot {
  return { size: snapshot.size, items: () => snapshot.items(), release: () => snapshot.release() }
}

/** What is done with neighbours, or with items that are spread over the state. */
interface Edit {
  readonly kind: 'set' | 'insert' | 'delete' | 'truncate'
  readonly at: number
  readonly count: number
  readonly step: number
  readonly bytes: number
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('set', 'insert', 'delete') },
    { weight: 1, arbitrary: fc.constant('truncate') },
  ),
  at: fc.nat(ITEMS),
  count: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 50, max: 500 })),
  step: fc.constantFrom(1, 1, 7, 500),
  bytes: fc.constantFrom(0, 90, 90, 90, 3_000),
})

/** A machine, its first state, and how it is edited: by commands of a round, which makes values differ. */
interface Subject {
  readonly machine: StateMachine
  fill(): Iterable<Uint8Array>
  edit(edit: Edit, place: number, round: number): Uint8Array
}

const textOf = (n: number, round: number, bytes: number) => `${n} ${round} ${'x'.repeat(bytes)}`
const keyOf = (n: number) => `key ${String(n).padStart(6, '0')}`
const range = (count: number) => Array.from({ length: count }, (_, n) => n)

function listSubject(): Subject {
  const machine = new ReplicatedList<string>()
  const { commands } = machine
  return {
    machine,
    fill: () => range(ITEMS).map((n) => commands.push(textOf(n, 0, 80))),
    edit: ({ kind, bytes, at }, place, round) => {
      const index = machine.length === 0 ? 0 : place % machine.length
      if (kind === 'truncate') return commands.truncate(Math.max(machine.length - (at % 700), 1))
      if (kind === 'insert' || machine.length === 0)
        return commands.insert(index, textOf(place, round, bytes))
      return kind === 'set' ? commands.set(index, textOf(place, round, bytes)) : commands.delete(index)
    },
  }
}

function mapSubject(): Subject {
  const machine = new ReplicatedMap<string, string>()
  const { commands } = machine
  return {
    machine,
    fill: () => range(ITEMS).map((n) => commands.set(keyOf(n * 2), textOf(n, 0, 70))),
    edit: ({ kind, bytes }, place, round) => {
      if (kind === 'delete') return commands.delete(keyOf(place * 2))
      return commands.set(keyOf(place * 2 + (kind === 'insert' ? 1 : 0)), textOf(place, round, bytes))
    },
  }
}

function queueSubject(): Subject {
  const machine = new ReplicatedPriorityQueue<number, string, string>({
    priorities: jsonCodec<number>(),
    keys: jsonCodec<string>(),
    values: jsonCodec<string>(),
  })
  const { commands } = machine
  return {
    machine,
    fill: () => range(ITEMS).map((n) => commands.insert(n % 100, keyOf(n), textOf(n, 0, 60))),
    edit: ({ kind, bytes, at }, place, round) => {
      if (kind === 'delete') return commands.delete(keyOf(place))
      const key = keyOf(place + (kind === 'insert' ? ITEMS : 0))
      // A truncation is what dies: all that it sets lives for a moment only.
      const ttl = kind === 'truncate' ? { ttlMs: 1 } : {}
      return commands.insert((place + at) % 100, key, textOf(place, round, bytes), ttl)
    },
  }
}

function composedSubject(): Subject {
  const parts = [mapSubject(), listSubject()] as const
  const machine = compose({ map: parts[0].machine, list: parts[1].machine })
  // The command of a part begins with its number. Parts are in the order of their names: the list is the first.
  const forPart = (part: 0 | 1, command: Uint8Array) => Uint8Array.of(2 - part, ...command)
  return {
    machine,
    fill: () =>
      [...parts.entries()].flatMap(([n, part]) => Array.from(part.fill(), (c) => forPart(n as 0 | 1, c))),
    edit: (edit, place, round) => {
      const n = edit.at % 2 === 0 ? 0 : 1
      return forPart(n, parts[n].edit(edit, place, round))
    },
  }
}

test.each([
  ['a list', listSubject],
  ['a map', mapSubject],
  ['a queue', queueSubject],
  ['a composition', composedSubject],
])('%s is cut as its items are, after any writes and on whoever installed it', async (_name, make) => {
  const rounds = fc.array(fc.array(edit, { maxLength: 3 }), { minLength: 1, maxLength: 4 })
  const chunkBytes = fc.constantFrom(1_000, 20_000, 100_000, 400_000)
  await fc.assert(
    fc.asyncProperty(rounds, chunkBytes, fc.boolean(), async (rounds, bytes, isReinstalled) => {
      const { machine, fill, edit: commandOf } = make()
      const { signature } = machine
      let index = 0
      const apply = (command: Uint8Array) =>
        machine.apply(command, { position: { epoch: 'test', index: ++index }, timeMs: index, signature })
      for (const command of fill()) apply(command)
      const history = new CutHistory()
      const cuts: CutSnapshot[] = []
      for (const [round, edits] of [[], [], ...rounds].entries()) {
        for (const edit of edits) {
          const count = edit.kind === 'truncate' ? 1 : edit.count
          for (let n = 0; n < count; n++) apply(commandOf(edit, (edit.at + n * edit.step) % ITEMS, round))
        }
        const expected = await cutOf(plain(machine.capture(signature)), bytes)
        const cutting = cutOf(machine.capture(signature), bytes, history)
        // What is written while it is cut is in the next one.
        apply(commandOf({ kind: 'set', at: 0, count: 1, step: 1, bytes: 90 }, round * 311, -1 - round))
        const chunks = await cutting
        expect(chunks.manifest).toEqual(expected.manifest)
        cuts.push(chunks)
        if (round !== 1 || !isReinstalled) continue
        const installation = machine.install(signature)
        for (const [n, { items }] of chunks.infos.entries())
          installation.add(itemsOf(await chunks.raw(n), items))
        installation.commit()
      }
      for (const chunks of cuts) {
        for (const [n, { hash }] of chunks.infos.entries())
          expect(chunkHash(await chunks.raw(n))).toEqual(hash)
      }
    }),
    { numRuns: 10 },
  )
})
