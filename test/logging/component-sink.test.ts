import type { ComponentLogger } from '@libp2p/interface'
import { defaultLogger, disable, enable } from '@libp2p/logger'
import { afterEach, expect, test } from 'vitest'
import { ComponentSink } from '../../src/logging/component-sink.ts'
import { LOG_LEVELS, type LogLevel } from '../../src/logging/line.ts'
import { keptLogger } from './kept-logger.ts'

const OF = { group: 'the cities', replica: '12D3' }
const line = (level: LogLevel, peer = 'p') =>
  ({
    level,
    component: 'sync',
    text: 'a peer failed it',
    fields: { event: 'fault', catchUp: undefined, peer },
  }) as const

afterEach(() => disable())

test('each level has its writer, and each component its logger', () => {
  const kept: string[] = []
  const sink = new ComponentSink(
    keptLogger((...words) => kept.push(words.join(' '))),
    OF,
  )
  for (const level of LOG_LEVELS) sink.write(line(level))
  sink.write({ ...line('info'), component: 'checkpoint' })
  const text = 'a peer failed it event=fault peer=p group="the cities" replica=12D3'
  expect(kept).toEqual([
    `anchorage:sync trace ${text}`,
    `anchorage:sync log ${text}`,
    `anchorage:sync log ${text}`,
    `anchorage:sync error ${text}`,
    `anchorage:sync error ${text}`,
    `anchorage:checkpoint log ${text}`,
  ])
})

test('a value with anything special in it is quoted, a % is one, and an error has its code', () => {
  const kept: string[] = []
  const sink = new ComponentSink(
    keptLogger((_name, _writer, text) => kept.push(text)),
    {},
  )
  const err = { type: 'Busy', code: 'BUSY', message: 'x" catchUp=1 %s' }
  for (const peer of ['%s%o', 'a=b', '', 'p catchUp=2']) sink.write({ ...line('info', peer) })
  sink.write({ ...line('info'), fields: { event: 'refused', err } })
  expect(kept.map((text) => text.replace('a peer failed it event=', ''))).toEqual([
    'fault peer=%s%o',
    'fault peer="a=b"',
    'fault peer=""',
    'fault peer="p catchUp=2"',
    'refused err="Busy: x\\" catchUp=1 %s" code=BUSY',
  ])
})

test.each<[debug: string, enabled: boolean, shown: LogLevel[]]>([
  ['', false, []],
  ['libp2p*', false, []],
  ['anchorage*', true, ['debug', 'info', 'warn', 'error']],
  ['anchorage*,*:trace', true, ['trace', 'debug', 'info', 'warn', 'error']],
  ['*:error', true, ['warn', 'error']],
  ['anchorage:sync', true, ['debug', 'info']],
  ['anchorage:log', true, []],
])('with DEBUG=%s', (debug, enabled, shown) => {
  enable(debug)
  const sink = new ComponentSink(defaultLogger(), OF)
  expect(sink.enabled).toBe(enabled)
  expect(LOG_LEVELS.filter((level) => sink.shows(line(level)))).toEqual(shown)
})

test('where nothing was ever enabled, nothing is on', () => {
  // It is what js-libp2p's own loggers say then.
  const never: ComponentLogger = {
    forComponent: () =>
      Object.assign(() => {}, { enabled: undefined, error: () => {}, trace: () => {} }) as never,
  }
  const sink = new ComponentSink(never, OF)
  expect([sink.enabled, ...LOG_LEVELS.map((level) => sink.shows(line(level)))]).toEqual(Array(6).fill(false))
})
