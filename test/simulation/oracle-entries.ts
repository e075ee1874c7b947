import fc from 'fast-check'
import { type Control, encodeControl } from '../../src/group/control.ts'
import { bytesCodec } from '../../src/machine/codec.ts'
import { encodeCommand } from '../../src/machines/map/command.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { GroupView, ModelEntry } from '../../src/testing/simulation/oracle/group-model.ts'
import { MapModel } from '../../src/testing/simulation/oracle/map-model.ts'

export const EPOCH = 'e'
export const START_MS = 1_790_000_000_000
export const YEAR_MS = 365 * 24 * 3_600_000
const WEEK_MS = 7 * 24 * 3_600_000

export const CODECS = { keys: bytesCodec, values: bytesCodec }
export type BytesMap = ReplicatedMap<Uint8Array, Uint8Array>
export const newMap = (): BytesMap => new ReplicatedMap(CODECS)
export const newMapModel = () => new MapModel(CODECS)
const commands = newMap().commands

// 43 keys, so that they are used again.
const keys = fc.array(fc.constantFrom(0x00, 0x61, 0xff), { maxLength: 3 }).map((key) => Uint8Array.from(key))
const values = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 3, max: 2 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 500, max: 530 }).map((length) => new Uint8Array(length).fill(7)),
  },
)
const ttls = fc.oneof(
  fc.constant({}),
  fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constantFrom(WEEK_MS, 2 ** 48)).map((ttlMs) => ({ ttlMs })),
)

export const mapCommands: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(keys, values, ttls).map((args) => commands.set(...args)) },
  { weight: 2, arbitrary: keys.map((key) => commands.delete(key)) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.array(fc.tuple(keys, values), { maxLength: 8 }), ttls)
      .map((args) => commands.setMany(...args)),
  },
  { weight: 2, arbitrary: fc.array(keys, { maxLength: 6 }).map((gone) => commands.deleteMany(gone)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(keys, fc.option(values, { nil: undefined }), values, ttls)
      .map((args) => commands.compareAndSet(...args)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(keys, values).map(([key, value]) => commands.compareAndSet(key, value, undefined)),
  },
  { weight: 2, arbitrary: keys.map((key) => commands.persist(key)) },
  { weight: 1, arbitrary: fc.constant(encodeCommand({ type: 'clear' })) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 6 }) },
)

/**
 * Which of a dozen clocks stamps the next entry, how far time is then, and how wrong that clock is by then.
 */
interface Stamp {
  readonly clock: number
  readonly passedMs: number
  readonly wrongByMs: number
}

const WRONG_BY_MS = [0, 0, 0, 300, -700, 3_600_000, -86_400_000, WEEK_MS, WEEK_MS + 1, YEAR_MS, -YEAR_MS]
const FAR_MS = [3 * YEAR_MS, -3 * YEAR_MS, 73 * YEAR_MS, -START_MS]

export const stamps: fc.Arbitrary<Stamp> = fc.record({
  clock: fc.nat(WRONG_BY_MS.length + FAR_MS.length - 1),
  passedMs: fc.oneof(
    { weight: 16, arbitrary: fc.nat(3_000) },
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(WEEK_MS, WEEK_MS + 1, YEAR_MS) },
  ),
  wrongByMs: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: -1_100, max: 1_100 }) },
    { weight: 2, arbitrary: fc.constantFrom(-999, -1_000, -1_001) },
    { weight: 1, arbitrary: fc.double({ min: -WEEK_MS, max: WEEK_MS, noNaN: true }) },
  ),
})

/** The timestamps that these clocks give, one after the other. */
export function timestampsOf(run: readonly Stamp[]): number[] {
  let nowMs = START_MS
  return run.map(({ clock, passedMs, wrongByMs }) => {
    nowMs += passedMs
    return nowMs + [...WRONG_BY_MS, ...FAR_MS][clock]! + wrongByMs
  })
}

/**
 * A control entry by what it refers to: it becomes one when it is known who leads and which anchors there
 * are.
 */
export type ControlStep = (view: GroupView, newest: number) => Pick<ModelEntry, 'author' | 'payload'>

const AUTHORS = ['a', 'b', 'c', 'd', 'e']
const authors = fc.constantFrom(...AUTHORS)
const by = (author: string, control: Control) => ({ author, payload: encodeControl(control) })
/** By the leader in its own term, mostly; or by another, or of another term. */
const office = fc.record({
  author: fc.option(authors, { freq: 6 }),
  behind: fc.constantFrom(0, 0, 0, 0, 1, -1),
})
type Office = { readonly author: string | null; readonly behind: number }
const inOffice = (view: GroupView, { author, behind }: Office) => ({
  author: author ?? view.leader ?? 'a',
  term: Math.max(0, view.term - behind),
})

/** What the logs of these tests are bound to. */
export const BOUND = 'm/1'
/** Signatures of machines. */
const versions = fc.constantFrom('m/1', 'm/2', 'm/3')

export const controlSteps: fc.Arbitrary<ControlStep> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .tuple(
        authors,
        mapCommands,
        fc.option(fc.constantFrom('k', 'l', 'm', 'n'), { nil: undefined }),
        fc.option(fc.nat(4), { nil: undefined }),
      )
      .map(([author, command, key, back]) => (_view: GroupView, newest: number) => {
        const expected = back !== undefined && { expect: Math.max(0, newest - back) }
        const named = key !== undefined && { key: Buffer.from(key) }
        return by(author, { type: 'guarded', command, ...named, ...expected })
      }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(authors, fc.constantFrom(1, 1, 1, 0, 2)).map(
      ([author, ahead]) =>
        (view: GroupView) =>
          by(author, { type: 'claim', term: view.term + ahead, format: 1 + (author.charCodeAt(0) % 2) }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(office, fc.array(authors, { maxLength: 6 }))
      .map(([who, electorate]) => (view: GroupView, newest: number) => {
        const { author, term } = inOffice(view, who)
        const marker = {
          electorate,
          requesters: ['f'],
          chunkBytes: 65_536,
          retires: newest % 3 ? [] : [newest],
        }
        const { format, signature } = view.spoken
        const isStale = newest % 5 === 0
        return by(author, { type: 'marker', term, ...marker, ...(format > 1 && !isStale && { signature }) })
      }),
  },
  {
    weight: 20,
    arbitrary: fc
      .tuple(authors, fc.nat(20), fc.constantFrom(1, 1, 1, 2, 3))
      .map(([author, nth, root]) => (view: GroupView, newest: number) => {
        const anchor = [...view.anchors.keys()].at(-1 - nth) ?? newest - nth
        return by(author, { type: 'attestation', anchor: Math.max(0, anchor), root: Uint8Array.of(root) })
      }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(office, fc.nat(400)).map(([who, upTo]) => (view: GroupView) => {
      const { author, term } = inOffice(view, who)
      return by(author, { type: 'prune', term, upTo })
    }),
  },
  {
    weight: 1,
    arbitrary: office.map((who) => (view: GroupView) => {
      const { author, term } = inOffice(view, who)
      return by(author, { type: 'tick', term })
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(office, versions, versions, fc.constantFrom(1, 2, 2))
      .map(([who, other, to, format]) => (view: GroupView, newest: number) => {
        const { author, term } = inOffice(view, who)
        const from = newest % 4 > 0 ? view.spoken.signature : other
        return by(author, { type: 'upgrade', term, format, from, to })
      }),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 6 }).map((payload) => () => ({ author: 'a', payload })),
  },
)
