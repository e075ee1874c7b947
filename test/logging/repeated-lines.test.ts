import { beforeEach, expect, test, vi } from 'vitest'
import type { LogLevel, LogLine, LogSink } from '../../src/logging/line.ts'
import { RepeatedLines } from '../../src/logging/repeated-lines.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const HOUR_MS = 3_600_000

/** Keeps what it is told, and when. */
class Kept implements LogSink {
  readonly told: [atMs: number, line: LogLine][] = []
  hidden: LogLevel | undefined
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  get enabled(): boolean {
    return true
  }

  shows({ level }: { level: LogLevel }): boolean {
    return level !== this.hidden
  }

  write(line: LogLine): void {
    this.told.push([this.#clock.now(), line])
  }
}

const lineOf = (changes: Partial<LogLine> = {}): LogLine => ({
  level: 'warn',
  component: 'sync',
  text: 'a peer failed it',
  fields: { event: 'fault', peer: 'p' },
  key: 'fault p',
  ...changes,
})

let clock: VirtualClock
let kept: Kept
let lines: RepeatedLines
beforeEach(() => {
  clock = new VirtualClock()
  kept = new Kept(clock)
  lines = new RepeatedLines({ clock, sink: kept })
})

/** When something was told, and how often it had been said since it was told before. */
const counts = () => kept.told.map(([atMs, { fields }]) => [atMs, fields.repeated])

test('a line twice a second for an hour: at once, after 1 s, 10 s, and then once a minute, with its count', () => {
  for (let ms = 0; ms < HOUR_MS; ms += 500) {
    lines.take(lineOf())
    clock.advance(500)
  }
  expect(counts().slice(0, 5)).toEqual([
    [0, undefined],
    [1_000, 1],
    [11_000, 20],
    [71_000, 120],
    [131_000, 120],
  ])
  expect(kept.told.length).toBeLessThan(65)
})

test('the last of them is told too, with what it said', () => {
  lines.take(lineOf({ fields: { event: 'fault', catchUp: '1' } }))
  clock.advance(200)
  for (const catchUp of ['2', '3']) lines.take(lineOf({ fields: { event: 'fault', catchUp } }))
  clock.advance(HOUR_MS)
  expect(kept.told).toEqual([
    [0, lineOf({ fields: { event: 'fault', catchUp: '1' } })],
    [1_000, lineOf({ fields: { event: 'fault', catchUp: '3', repeated: 2 } })],
  ])
})

test('one that comes after its pause is told at once, and its pause grows', () => {
  for (let n = 0; n < 5; n++) {
    lines.take(lineOf())
    clock.advance(5_000)
  }
  // The pause after the second is 10 s: the third is counted, and told when it is over.
  expect(counts()).toEqual([
    [0, undefined],
    [5_000, 1],
    [15_000, 1],
  ])
})

test('what was quiet for a minute is news again', () => {
  for (let n = 0; n < 3; n++) {
    lines.take(lineOf())
    clock.advance(60_000)
  }
  expect(counts()).toEqual([
    [0, undefined],
    [60_000, undefined],
    [120_000, undefined],
  ])
})

test('lines of other keys, and lines without one, are told each', () => {
  const { key: _, ...keyless } = lineOf()
  for (const line of [lineOf(), lineOf({ key: 'fault q' }), keyless, keyless]) lines.take(line)
  expect(kept.told).toHaveLength(4)
})

test('amounts are added up, and told as they are by then', () => {
  const chunk = lineOf({ key: 'served p', totals: { chunks: 1, bytes: 10 } })
  for (let ms = 0; ms < 12_000; ms += 100) {
    lines.take(chunk)
    clock.advance(100)
  }
  expect(kept.told.map(([atMs, { fields }]) => [atMs, fields.chunks, fields.bytes, fields.repeated])).toEqual(
    [
      [0, 1, 10, undefined],
      [1_000, 10, 100, undefined],
      [11_000, 110, 1_100, undefined],
    ],
  )
})

test('a line tells before itself what was counted of those that are over with it', () => {
  const chunk = lineOf({ text: 'fetches', key: 'fetched 7 p', totals: { chunks: 1 } })
  for (let n = 0; n < 3; n++) lines.take(chunk)
  lines.take(lineOf({ text: 'fetches 70', key: 'fetched 70 p' }))
  lines.take(lineOf({ text: 'fetches 70', key: 'fetched 70 p' }))
  lines.take(lineOf({ text: 'installs', key: 'installing', closes: ['fetched 7 '] }))
  expect(kept.told.map(([, { text, fields }]) => [text, fields.chunks])).toEqual([
    ['fetches', 1],
    ['fetches 70', undefined],
    ['fetches', 3],
    ['installs', undefined],
  ])
  const { length } = kept.told
  clock.advance(1_000)
  expect(kept.told.slice(length).map(([, { text }]) => text)).toEqual(['fetches 70'])
})

test('at the end what was counted is told, once', () => {
  lines.take(lineOf())
  lines.take(lineOf())
  lines.flush()
  clock.advance(HOUR_MS)
  lines.flush()
  expect(counts()).toEqual([
    [0, undefined],
    [0, 1],
  ])
})

const refused = (n: number, type = 'Busy') =>
  lineOf({
    fields: { event: 'refused', peer: `p${n}`, err: { type, code: 'OTHER', message: 'm' } },
    key: `refused p${n} ${type}`,
  })

/** How many lines of an event there were, by what was told. */
const said = (event: string) =>
  kept.told
    .filter(([, { fields }]) => fields.event === event)
    .reduce((sum, [, { fields }]) => sum + Number(fields.others ?? fields.repeated ?? 1), 0)

test('300 peers in turn for 30 s are some 130 lines, which tell how many there were', () => {
  for (let n = 0; n < 30_000; n++) {
    lines.take(refused(n % 300))
    clock.advance(1)
  }
  // 33 at once, after 1 s, after 11 s.
  expect(kept.told).toHaveLength(99)
  expect(kept.told.filter(([atMs]) => atMs < 1_000)).toHaveLength(33)
  lines.flush()
  expect(kept.told).toHaveLength(132)
  expect(said('refused')).toBe(30_000)
  expect(kept.told.at(-1)![1].fields).toMatchObject({ peer: 'p299', others: expect.any(Number) })
})

test('peers that are others with each line, for five minutes: 33 lines a minute, and none is lost', () => {
  for (let n = 0; n < 300_000; n++) {
    lines.take(refused(n))
    clock.advance(1)
  }
  expect(kept.told.length).toBeLessThan(33 + 5 * 33 + 10)
  lines.flush()
  expect(said('refused')).toBe(300_000)
})

test('a crowd of one kind hides no line of another', () => {
  for (let n = 0; n < 1_000; n++) lines.take(refused(n))
  const { length } = kept.told
  for (const line of [lineOf(), refused(1, 'Expired'), lineOf({ level: 'error', key: 'other' })])
    lines.take(line)
  expect(kept.told).toHaveLength(length + 3)
})

test('errors of ever other names are bounded too', () => {
  for (let n = 0; n < 10_000; n++) lines.take(refused(n, `Error${n}`))
  expect(kept.told).toHaveLength(257)
  clock.advance(1_000)
  expect(kept.told).toHaveLength(258)
  expect(said('refused')).toBe(10_000)
})

test('amounts of those without a place of their own are added up', () => {
  for (let n = 0; n < 100; n++) lines.take(lineOf({ key: `served ${n}`, totals: { chunks: 1 } }))
  clock.advance(1_000)
  expect(kept.told.at(-1)![1].fields).toMatchObject({ chunks: 68, others: 67 })
})

test('those without a place of their own are told too before what they are over with', () => {
  for (let n = 0; n < 40; n++) lines.take(lineOf({ key: `fetched 7 p${n}` }))
  lines.take(
    lineOf({ text: 'installs', key: 'installing', fields: { event: 'session' }, closes: ['fetched 7 '] }),
  )
  const [[, last], [, before]] = kept.told.toReversed() as [[number, LogLine], [number, LogLine]]
  expect([before.fields.others, last.text]).toEqual([7, 'installs'])
})

test('keys that differ after 300 characters alone are the same', () => {
  for (const end of ['a', 'b']) lines.take(lineOf({ key: `${'x'.repeat(300)}${end}` }))
  expect(kept.told).toHaveLength(1)
})

test('nothing is counted of a level that is not shown', () => {
  kept.hidden = 'debug'
  lines.take(lineOf({ level: 'debug' }))
  kept.hidden = undefined
  lines.take(lineOf({ level: 'debug' }))
  expect(counts()).toEqual([[0, undefined]])
})

test('what others wrote cannot break a line, grow it without end, or show a password', () => {
  const message = `no\r\n\u001b[2J{"level":"info"} \u202e at nats://ada:s3cr3t@n1:4222,tls://eve:x@y@n2?password=hunter2`
  const err = { type: 'Failed', code: 'FAILED', message }
  lines.take(lineOf({ fields: { event: 'fault', peer: 'x'.repeat(5_000), err }, text: 'a\nb' }))
  const [[, { text, fields }]] = kept.told as [[number, LogLine]]
  expect(text).toBe('a\\nb')
  expect(String(fields.peer)).toHaveLength(1_000)
  expect(fields.err).toEqual({
    ...err,
    message: 'no\\r\\n\\x1b[2J{"level":"info"} \\u202e at nats://…@n2?password=…',
  })
})

test('a sink that throws, also when the pause is over, harms nobody', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  vi.spyOn(kept, 'write').mockImplementation(() => {
    throw new Error('full')
  })
  lines.take(lineOf())
  lines.take(lineOf())
  clock.advance(1_000)
  expect(warned).toHaveBeenCalledTimes(2)
  warned.mockRestore()
})
