import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encode, Tally } from '../../docs/examples/tally.ts'
import { decodeGroupState } from '../../src/group/carried-state.ts'
import { type Control, encodeControl } from '../../src/group/control.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { MachineTime } from '../../src/group/machine-time.ts'
import { Versions } from '../../src/group/versions.ts'
import { Items } from '../../src/machine/items.ts'
import { MalformedCommand } from '../../src/machine/machine.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { GroupView, ModelEntry } from '../../src/testing/simulation/oracle/group-model.ts'
import { History } from '../../src/testing/simulation/oracle/history.ts'
import { MachineTimeModel } from '../../src/testing/simulation/oracle/machine-time.ts'
import { ReplayModel } from '../../src/testing/simulation/oracle/replay-model.ts'
import {
  BOUND,
  type BytesMap,
  CODECS,
  type ControlStep,
  controlSteps,
  EPOCH,
  mapCommands,
  newMap,
  newMapModel,
  START_MS,
  stamps,
  timestampsOf,
} from './oracle-entries.ts'

/** What a replica's applier does with an entry: time first, then the command or the group's state. */
class Product {
  readonly map: BytesMap
  readonly group: GroupState

  constructor(map = newMap(), group = newGroup()) {
    this.map = map
    this.group = group
  }

  apply(entry: ModelEntry): unknown {
    if (entry.epoch !== EPOCH) return undefined
    if (this.group.advance(entry.timestampMs)) this.map.advance(this.group.timeMs)
    if (entry.kind === 'command') return this.#command(entry.index, entry.payload)
    const outcome = this.group.apply({ ...entry, id: String(entry.index) })
    if (outcome.type !== 'met') return outcome
    const { command, key } = outcome.guarded
    return { ...outcome, result: this.#command(entry.index, command, key) }
  }

  #command(index: number, command: Uint8Array, key?: Uint8Array): unknown {
    try {
      const result = this.map.apply(command, this.group)
      this.group.commanded(index, key)
      return result
    } catch (error) {
      if (!(error instanceof MalformedCommand)) throw error
      this.group.commanded(index)
      return undefined
    }
  }
}

const newHistory = () => new History<BytesMap>(EPOCH, newMapModel, BOUND)
function newGroup(): GroupState {
  return new GroupState({
    signature: BOUND,
    versions: new Versions({ signature: BOUND, older: ['m/2', 'm/3'] }),
  })
}
const command = (
  index: number,
  payload: Uint8Array,
  timestampMs = START_MS + index,
  epoch = EPOCH,
): ModelEntry => ({
  index,
  epoch,
  timestampMs,
  author: 'a',
  kind: 'command',
  payload,
})
const at = (index: number, epoch = EPOCH) => ({ index, epoch })

const steps = fc.oneof(
  { weight: 3, arbitrary: mapCommands },
  { weight: 2, arbitrary: controlSteps },
) as fc.Arbitrary<Uint8Array | ControlStep>
const runs = fc
  .array(
    fc.record({ step: steps, stamp: stamps, isStale: fc.constantFrom(...Array(20).fill(false), true) }),
    {
      maxLength: 150,
      size: 'max',
    },
  )
  .map((run) => {
    const timestampsMs = timestampsOf(run.map(({ stamp }) => stamp))
    return run.map(({ step, isStale }, i) => ({
      step,
      timestampMs: timestampsMs[i]!,
      epoch: isStale ? 'old' : EPOCH,
    }))
  })

/** Add the entries of a run to a history, one by one. */
function* entriesOf(
  run: readonly { step: Uint8Array | ControlStep; timestampMs: number; epoch: string }[],
  history: History<BytesMap>,
): Generator<ModelEntry> {
  for (const { step, timestampMs, epoch } of run) {
    const { newest } = history
    const entry =
      step instanceof Uint8Array
        ? command(newest + 1, step, timestampMs, epoch)
        : { ...command(newest + 1, new Uint8Array(), timestampMs, epoch), kind: 'control' as const }
    const what = step instanceof Uint8Array ? {} : step(history.groupAt(newest)!, newest)
    const whole = { ...entry, ...what }
    history.add(whole)
    yield whole
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

function expectSameGroup(group: GroupState, view: GroupView): void {
  expect([group.term, group.leader, group.claimIndex]).toEqual([view.term, view.leader, view.claimIndex])
  expect([group.format, group.signature]).toEqual([view.spoken.format, view.spoken.signature])
  expectSameSeals(group, view)
}

function expectSameSeals(group: GroupState, view: GroupView, from = 0): void {
  const anchors = [...view.anchors.values()].filter(({ index }) => index >= from)
  for (const { index } of anchors.slice(0, -16)) expect(group.seal(index)).toBeUndefined()
  for (const { index, attested, seal: expected, disputedAt } of anchors.slice(-16)) {
    const seal = group.seal(index)!
    expect(seal.state).toBe(
      disputedAt !== undefined ? 'disputed' : expected !== undefined ? 'sealed' : 'open',
    )
    expect(seal.root && hex(seal.root)).toBe(expected?.root)
    const roots = [...seal.attestations].map(([author, root]) => [author, hex(root)])
    expect(roots).toEqual(attested.map(({ author, root }) => [author, root]))
  }
}

/** Everything that a view says, to compare it later. */
const written = ({ term, leader, claimIndex, anchors, prunes }: GroupView) =>
  JSON.stringify({ term, leader, claimIndex, anchors: [...anchors], prunes })

test('the product and the models agree on any log, at every index, then and later', () => {
  fc.assert(
    fc.property(runs, fc.nat(), (run, nth) => {
      const history = newHistory()
      const product = new Product()
      const views = [written(history.groupAt(0)!)]
      for (const entry of entriesOf(run, history)) {
        const { index } = entry
        const result = product.apply(entry)
        expect(history.timeMsAt(index)).toBe(product.group.timeMs)
        expectSameGroup(product.group, history.groupAt(index)!)
        if (entry.kind === 'command') expect(history.resultAt(index)).toEqual(result)
        else if (result !== undefined) expect(result).toMatchObject(history.effectAt(index)!)
        else expect(history.effectAt(index)).toBeUndefined()
        if (history.effectAt(index)?.type === 'met')
          expect(result).toMatchObject({ result: history.resultAt(index) })
        const { recent } = decodeGroupState(product.group.encode())
        expect(recent.map((write) => write.index)).toEqual(history.group.remembered)
        expect([history.check(product.map, at(index)), index]).toEqual(['right', index])
        views.push(written(history.groupAt(index)!))
      }
      for (const [index, view] of views.entries()) expect(written(history.groupAt(index)!)).toBe(view)
      const late = new Product()
      for (let index = 1; index <= nth % (history.newest + 1); index++) late.apply(history.entryAt(index)!)
      expect(history.check(late.map, at(nth % (history.newest + 1)))).toBe('right')
    }),
    { numRuns: 80 },
  )
})

test('a replica that installed a snapshot at any index holds what the models say from there on', () => {
  fc.assert(
    fc.property(runs, fc.nat(), (run, nth) => {
      const history = newHistory()
      const founder = new Product()
      const markers: number[] = []
      for (const entry of entriesOf(run, history)) {
        if (history.effectAt(entry.index)?.type === 'marker') markers.push(entry.index)
      }
      const anchor = markers[nth % Math.max(1, markers.length)]
      fc.pre(anchor !== undefined)
      for (let index = 1; index <= anchor; index++) founder.apply(history.entryAt(index)!)
      const joiner = new Product()
      const installation = joiner.map.install()
      for (const item of founder.map.capture().items()) installation.add(Items.of(item.slice()))
      installation.commit()
      joiner.group.restore(decodeGroupState(founder.group.encode()))
      joiner.group.installed(anchor, history.groupAt(anchor)!.anchors.get(anchor)!.electorate)
      joiner.map.advance(founder.group.timeMs)
      for (let index = anchor; index <= history.newest; index++) {
        if (index > anchor) for (const one of [founder, joiner]) one.apply(history.entryAt(index)!)
        const { format, signature } = history.spokenAt(index)!
        expect([joiner.group.format, joiner.group.signature]).toEqual([format, signature])
        expect(hex(joiner.group.encode())).toBe(hex(founder.group.encode()))
        expect(joiner.group.timeMs).toBe(history.timeMsAt(index))
        expect(joiner.group.leader).toBe(history.groupAt(index)!.leader)
        expectSameSeals(joiner.group, history.groupAt(index)!, anchor)
        expect(history.check(joiner.map, at(index))).toBe('right')
      }
    }),
    { numRuns: 50 },
  )
})

test('seals of many anchors are those of the product, which counts for the newest alone', () => {
  const marker = { electorate: ['a', 'b'], requesters: [], chunkBytes: 65_536 }
  const claim: ControlStep = () => ({ author: 'a', payload: encodeControl({ type: 'claim', term: 1 }) })
  const mark: ControlStep = () => ({
    author: 'a',
    payload: encodeControl({ type: 'marker', term: 1, ...marker }),
  })
  fc.assert(
    fc.property(
      fc.array(controlSteps, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 14, max: 20 }),
      (run, anchors) => {
        const history = newHistory()
        const product = new Product()
        const log = [claim, ...Array<ControlStep>(anchors).fill(mark), ...run]
        const steps = log.map((step, i) => ({ step, timestampMs: START_MS + i, epoch: EPOCH }))
        for (const entry of entriesOf(steps, history)) {
          expect(product.apply(entry)).toMatchObject(history.effectAt(entry.index)!)
          expectSameGroup(product.group, history.groupAt(entry.index)!)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('machine time of the model is that of the product, for a dozen clocks and long runs', () => {
  fc.assert(
    fc.property(fc.array(stamps, { maxLength: 500, size: 'max' }), (run) => {
      const [product, model] = [new MachineTime(), new MachineTimeModel()]
      for (const timestampMs of timestampsOf(run)) {
        product.advance(timestampMs)
        expect(model.add(timestampMs)).toBe(product.ms)
      }
    }),
    { numRuns: 150 },
  )
})

test("one anchor's seal or dispute is the product's, whoever attests what in which order", () => {
  const electorate = fc.subarray(['a', 'b', 'c', 'd', 'e'])
  const attestation = fc.record({
    author: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    root: fc.constantFrom(1, 2, 3),
  })
  fc.assert(
    fc.property(
      electorate,
      fc.array(attestation, { maxLength: 12, size: 'max' }),
      (electors, attestations) => {
        const marker = { electorate: electors, requesters: [], chunkBytes: 65_536 }
        const log: [author: string, control: Control][] = [
          ['a', { type: 'claim', term: 1 }],
          ['a', { type: 'marker', term: 1, ...marker }],
        ]
        for (const { author, root } of attestations)
          log.push([author, { type: 'attestation', anchor: 2, root: Uint8Array.of(root) }])
        const history = newHistory()
        const product = new Product()
        for (const [i, [author, control]] of log.entries()) {
          const entry = { ...command(i + 1, encodeControl(control)), kind: 'control' as const, author }
          history.add(entry)
          expect(product.apply(entry)).toMatchObject(history.effectAt(i + 1)!)
          expectSameGroup(product.group, history.groupAt(i + 1)!)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('keys that died, and are still in memory because too many died at once, are dead', () => {
  const { commands } = newMap()
  const key = (n: number) => Buffer.from(`key-${n}`)
  const many = Array.from({ length: 3_000 }, (_, n) => [key(n), key(n)] as const)
  const onTheDead = [
    commands.set(key(0), key(1)),
    commands.delete(key(1)),
    commands.compareAndSet(key(2), key(2), key(1)),
    commands.compareAndSet(key(3), undefined, key(1)),
    commands.persist(key(4)),
    commands.deleteMany([key(5), key(0)]),
    commands.setMany([[key(6), key(1)]]),
    commands.clear(),
  ]
  for (const dead of onTheDead) {
    const history = newHistory()
    const product = new Product()
    const entries = [
      command(1, commands.setMany(many, { ttlMs: 10 }), START_MS),
      command(2, dead, START_MS + 10),
      command(3, commands.clear(), START_MS + 10),
    ]
    for (const entry of entries) {
      history.add(entry)
      expect(product.apply(entry)).toEqual(history.resultAt(entry.index))
      expect(history.check(product.map, at(entry.index))).toBe('right')
    }
  }
})

describe('a map that differs is noticed', () => {
  const bytes = (text: string) => Buffer.from(text)
  const { commands } = newMap()
  const log = [
    commands.set(bytes('a'), bytes('1'), { ttlMs: 100 }),
    commands.set(bytes('b'), bytes('2')),
    commands.setMany([
      [bytes('c'), bytes('3')],
      [bytes('d'), bytes('4')],
    ]),
    commands.persist(bytes('a')),
    commands.set(bytes('e'), bytes('5'), { ttlMs: 3 }),
    commands.delete(bytes('d')),
  ]

  function outcome(plant: (product: Product, entry: ModelEntry) => void, map = newMap()): [string, string] {
    const history = newHistory()
    const product = new Product(map)
    for (const [i, payload] of log.entries()) {
      const entry = command(i + 1, payload)
      history.add(entry)
      plant(product, entry)
    }
    return [history.check(map, at(log.length)), history.explain(map, at(log.length))]
  }

  const instead = (index: number, payload: Uint8Array) => (product: Product, entry: ModelEntry) =>
    void product.apply(entry.index === index ? { ...entry, payload } : entry)

  test('and one that does not differ is right', () => {
    const [verdict, why] = outcome((product, entry) => void product.apply(entry))
    expect([verdict, why.split('\n').length]).toEqual(['right', 1])
  })

  test.each([
    ['a value', instead(2, commands.set(bytes('b'), bytes('x'))), '"b": expected "2", found "x"'],
    ['a key too many', instead(6, commands.persist(bytes('d'))), '"d": expected nothing, found "4"'],
    ['a key too few', instead(4, commands.delete(bytes('a'))), '"a": expected "1", found nothing'],
    [
      'a TTL that was kept',
      instead(4, commands.delete(bytes('z'))),
      'expected "1", found "1" for 95 ms more',
    ],
    ['a deadline', instead(5, commands.set(bytes('e'), bytes('5'), { ttlMs: 4 })), 'found "5" for 3 ms more'],
    [
      'an early death',
      instead(5, commands.set(bytes('e'), bytes('5'), { ttlMs: 1 })),
      '"e": expected "5" for',
    ],
  ])('%s', (_what, plant, why) => {
    const [verdict, explained] = outcome(plant)
    expect(verdict).toBe('wrong')
    expect(explained).toContain(why)
  })

  test('two values that were exchanged', () => {
    const exchanged = commands.setMany([
      [bytes('c'), bytes('4')],
      [bytes('d'), bytes('3')],
    ])
    expect(outcome(instead(3, exchanged))[0]).toBe('wrong')
  })

  test('a clock that stood still: the dead are alive, and TTLs are too long', () => {
    const history = newHistory()
    const product = new Product()
    for (const [i, payload] of log.entries()) {
      history.add(command(i + 1, payload))
      product.apply(command(i + 1, payload))
    }
    history.add(command(7, commands.delete(bytes('z')), START_MS + 7))
    expect(history.check(product.map, at(7))).toBe('wrong')
    expect(history.explain(product.map, at(7))).toContain(
      '"e" reads as "5" for 2 ms more, not as "5" for 1 ms more',
    )
    history.add(command(8, commands.delete(bytes('z')), START_MS + 8))
    expect(history.explain(product.map, at(8))).toContain('"e": expected nothing, found "5" for 0 ms more')
  })

  test('reads that do not say what the map holds', () => {
    class Forgetful extends ReplicatedMap<Uint8Array, Uint8Array> {
      override get(key: Uint8Array) {
        return key[0] === 'b'.charCodeAt(0) ? undefined : super.get(key)
      }
    }
    const map = new Forgetful(CODECS)
    const [verdict, why] = outcome((product, entry) => void product.apply(entry), map)
    expect(verdict).toBe('wrong')
    expect(why).toContain('"b" reads as half there, not as "2"')
  })
})

describe('the model for any machine', () => {
  const newTallies = () => new History<Tally>(EPOCH, () => new ReplayModel(new Tally()))
  const log = [encode(['b', 1]), encode(['a', 2]), Buffer.from('no command'), encode(['b', 3])]

  test('is right about a machine at every index, old ones too', () => {
    const history = newTallies()
    for (const [i, payload] of log.entries()) history.add(command(i + 1, payload))
    expect([1, 2, 3, 4].map((index) => history.resultAt(index))).toEqual([1, 2, undefined, 4])
    const tally = new Tally()
    expect(history.check(tally, at(0))).toBe('right')
    for (const index of [1, 2, 4]) {
      tally.apply(log[index - 1]!)
      expect(history.check(tally, at(index))).toBe('right')
      expect(history.check(tally, at(index - 1))).toBe('wrong')
    }
  })

  test('names the items that differ', () => {
    const history = newTallies()
    for (const [i, payload] of log.entries()) history.add(command(i + 1, payload))
    const tally = new Tally()
    for (const payload of [log[0], log[1], encode(['b', 4])]) tally.apply(payload!)
    expect(history.check(tally, at(4))).toBe('wrong')
    expect(history.explain(tally, at(4))).toContain('item 1: expected "[\\"b\\",4]", found "[\\"b\\",5]"')
  })

  test('notices items in another order, and an item that is repeated', () => {
    const model = (items: string[]) => {
      const machine = new Tally()
      machine.capture = () => ({
        size: items.length,
        items: () => items.map((item) => Buffer.from(item)),
        release() {},
      })
      return new ReplayModel(new Tally()).digestOf(machine, 0, machine.signature)
    }
    const lists = [['a', 'b'], ['b', 'a'], ['a', 'b', 'b'], ['a', 'a', 'b'], ['ab'], ['a'], []]
    expect(new Set(lists.map(model)).size).toBe(lists.length)
  })

  test('agrees with the model of a map, keys that die by time included', () => {
    fc.assert(
      fc.property(runs, (run) => {
        const history = newHistory()
        const replayed = new History<BytesMap>(EPOCH, () => new ReplayModel(newMap()), BOUND)
        const product = new Product()
        for (const entry of entriesOf(run, history)) {
          replayed.add(entry)
          product.apply(entry)
          expect(replayed.resultAt(entry.index)).toEqual(history.resultAt(entry.index))
          expect(replayed.check(product.map, at(entry.index))).toBe('right')
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('what the log says of the group', () => {
  const log: [author: string, control: Control][] = [
    ['a', { type: 'claim', term: 1 }],
    ['a', { type: 'marker', term: 1, electorate: ['a', 'b', 'c'], requesters: ['j'], chunkBytes: 65_536 }],
    ['b', { type: 'attestation', anchor: 2, root: Uint8Array.of(1) }],
    ['b', { type: 'attestation', anchor: 2, root: Uint8Array.of(1) }],
    ['j', { type: 'attestation', anchor: 2, root: Uint8Array.of(1) }],
    ['c', { type: 'attestation', anchor: 2, root: Uint8Array.of(1) }],
    ['a', { type: 'attestation', anchor: 2, root: Uint8Array.of(2) }],
    ['b', { type: 'prune', term: 1, upTo: 3 }],
    ['a', { type: 'prune', term: 1, upTo: 99 }],
    ['b', { type: 'claim', term: 2 }],
    ['a', { type: 'claim', term: 2 }],
    ['a', { type: 'marker', term: 1, electorate: ['a'], requesters: [], chunkBytes: 65_536 }],
    [
      'b',
      { type: 'marker', term: 2, electorate: ['a', 'b'], requesters: [], chunkBytes: 4_096, retires: [2] },
    ],
    ['a', { type: 'attestation', anchor: 13, root: Uint8Array.of(1) }],
    ['b', { type: 'attestation', anchor: 13, root: Uint8Array.of(2) }],
  ]
  const history = newHistory()
  for (const [i, [author, control]] of log.entries()) {
    history.add({ ...command(i + 1, encodeControl(control)), kind: 'control', author })
  }

  test('the effect of each entry', () => {
    expect(log.map((_, i) => history.effectAt(i + 1)?.type)).toEqual(
      'leader marker attested attested attested sealed diverged void prune leader void void marker attested disputed'.split(
        ' ',
      ),
    )
  })

  test('who leads, since when', () => {
    const leaders = [0, 1, 9, 10, 15].map((index) => {
      const { term, leader, claimIndex } = history.groupAt(index)!
      return [term, leader, claimIndex]
    })
    expect(leaders).toEqual([
      [0, undefined, 0],
      [1, 'a', 1],
      [1, 'a', 1],
      [2, 'b', 10],
      [2, 'b', 10],
    ])
  })

  test('anchors are what they were at an index', () => {
    const seal = { at: 6, root: '01' }
    expect(history.groupAt(5)!.anchors.get(2)).toMatchObject({ attested: [{ author: 'b' }], seal: undefined })
    expect(history.groupAt(6)!.anchors.get(2)).toMatchObject({
      seal,
      disputedAt: undefined,
      chunkBytes: 65_536,
    })
    expect(history.groupAt(14)!.anchors.get(13)).toMatchObject({
      disputedAt: undefined,
      retires: [2],
      leader: 'b',
    })
    expect(history.groupAt(15)!.anchors.get(13)).toMatchObject({ disputedAt: 15, seal: undefined })
    expect([history.groupAt(1)!.anchors.get(2), history.groupAt(15)!.anchors.get(12)]).toEqual([
      undefined,
      undefined,
    ])
    expect(history.groupAt(15)!.anchors.keys().toArray()).toEqual([2, 13])
  })

  test('a prune counts if its author leads, and spares itself', () => {
    expect(history.groupAt(8)!.prunes).toEqual([])
    expect(history.groupAt(15)!.prunes).toEqual([{ index: 9, author: 'a', upTo: 8 }])
  })
})

describe('a log', () => {
  const { commands } = newMap()
  const set = (index: number, value: string) =>
    command(index, commands.set(Buffer.from('k'), Buffer.from(value), { ttlMs: 1_000 }))
  const mapAfter = (...entries: ModelEntry[]) => {
    const product = new Product()
    for (const entry of entries) product.apply(entry)
    return product.map
  }

  test('that is rewound: what it held is told from what it never held', () => {
    const history = newHistory()
    for (const entry of [set(1, 'one'), set(2, 'two'), set(3, 'three')]) history.add(entry)
    const before = mapAfter(set(1, 'one'), set(2, 'two'), set(3, 'three'))
    expect(history.check(before, at(3))).toBe('right')
    history.rewind(1)
    expect([history.newest, history.entryAt(2)]).toEqual([1, undefined])
    expect(history.check(mapAfter(set(1, 'one')), at(1))).toBe('right')
    expect(history.check(before, at(3))).toBe('dropped')
    expect(history.check(mapAfter(set(1, 'one'), set(2, 'x')), at(2))).toBe('beyond')
    for (const entry of [set(2, 'zwei'), set(3, 'drei')]) history.add(entry)
    expect(history.check(before, at(3))).toBe('dropped')
    expect(history.check(mapAfter(set(1, 'one'), set(2, 'zwei'), set(3, 'drei')), at(3))).toBe('right')
    expect(history.check(mapAfter(set(1, 'one'), set(2, 'zwei'), set(3, 'three')), at(3))).toBe('dropped')
    expect(history.check(mapAfter(set(1, 'one'), set(2, 'zwei'), set(3, 'trois')), at(3))).toBe('wrong')
  })

  test('that is rewound holds what a log without the lost entries would', () => {
    fc.assert(
      fc.property(runs, runs, fc.nat(), (lost, kept, nth) => {
        const [rewound, plain] = [newHistory(), newHistory()]
        const all = [...entriesOf(lost, rewound)]
        rewound.rewind(nth % (all.length + 1))
        for (const entry of all.slice(0, rewound.newest)) plain.add(entry)
        for (const entry of entriesOf(kept.slice(0, 30), rewound)) plain.add(entry)
        const product = new Product()
        for (let index = 1; index <= plain.newest; index++) {
          product.apply(plain.entryAt(index)!)
          expect([rewound.timeMsAt(index), rewound.resultAt(index)]).toEqual([
            plain.timeMsAt(index),
            plain.resultAt(index),
          ])
          expect(written(rewound.groupAt(index)!)).toBe(written(plain.groupAt(index)!))
          expect(rewound.check(product.map, at(index))).toBe('right')
        }
      }),
      { numRuns: 50 },
    )
  })

  test('that is made anew begins without time and state, and the old one is still known', () => {
    const history = newHistory()
    history.add(set(1, 'one'))
    history.recreate('new')
    expect([history.epoch, history.newest, history.timeMsAt(0)]).toEqual(['new', 0, 0])
    history.add({ ...set(1, 'other'), epoch: EPOCH })
    history.add({ ...set(2, 'other'), epoch: 'new' })
    expect(history.check(mapAfter(set(1, 'one')), at(1))).toBe('right')
    expect(history.check(newMap(), at(1, 'new'))).toBe('right')
    expect(history.check(mapAfter(set(2, 'other')), at(2, 'new'))).toBe('right')
    expect(history.check(newMap(), at(0, 'unheard of'))).toBe('beyond')
    expect(() => history.recreate(EPOCH)).toThrow(RangeError)
  })

  test('has no gaps', () => {
    expect(() => newHistory().add(set(2, 'two'))).toThrow(RangeError)
    expect([newHistory().timeMsAt(1), newHistory().entryAt(1)]).toEqual([undefined, undefined])
  })
})
