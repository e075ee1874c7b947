import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import { EpochChanged, LogRefused } from '../../../src/log/errors.ts'
import { OwnCodec } from '../../../src/log/jetstream/codec.ts'
import { EntryEncoder } from '../../../src/log/jetstream/entry.ts'
import type { Link } from '../../../src/log/jetstream/link.ts'
import { Numbering } from '../../../src/log/jetstream/numbering.ts'
import { Publisher } from '../../../src/log/jetstream/publisher.ts'
import { pull } from '../../../src/log/jetstream/pull.ts'
import type { Stream, StreamTail } from '../../../src/log/jetstream/stream.ts'
import { StreamMonitor } from '../../../src/log/jetstream/stream-monitor.ts'
import { VirtualClock } from '../../../src/time/virtual-clock.ts'

/** A connection to servers that take everything and say nothing, judged by this clock. */
function silentLink(clock: VirtualClock, connected = true): Link {
  const link: Partial<Link> = {
    clock,
    connected,
    linked: connected,
    maxPayload: 1024 * 1024,
    api: '$JS.API',
    place: 'a test',
    inbox: () => 'inbox',
    answers: () => {},
    onChange: () => () => {},
    onRefused: () => () => {},
    whenConnected: () => new Promise(() => {}),
    ask: async <T>() => ({ created: new Date(0).toISOString(), num_pending: 0 }) as T,
    nc: { subscribe: () => ({ unsubscribe() {} }), publish() {} } as unknown as Link['nc'],
    jsm: { consumers: { delete: async () => true } } as unknown as JetStreamManager,
  }
  return link as Link
}

test('a consumer that misses two beats is given up', async () => {
  const clock = new VirtualClock()
  const { signal } = new AbortController()
  const batches = pull({ link: silentLink(clock), stream: 's', consumer: {}, signal })
  expect(await batches.next()).toEqual({ value: [], done: false })
  const next = batches.next()
  clock.advance(2_000)
  expect(await Promise.race([next, clock.turn()])).toBeUndefined()
  clock.advance(1_000)
  expect(await next).toMatchObject({ done: true })
})

test('an entry that was never published waits for a minute of servers that are away', async () => {
  const clock = new VirtualClock()
  const stream = {
    isFresh: true,
    numbering: new Numbering(),
    duplicateWindowMs: 120_000,
    writtenName: 's',
    look: async () => {
      throw new Error('no servers')
    },
  }
  const codec = new OwnCodec(new EntryEncoder('e', 'author'), 'subject')
  const publisher = new Publisher(silentLink(clock, false), stream, codec)
  const appended = publisher.append([{ kind: 'command', payload: Buffer.from('entry') }])
  appended.catch(() => {})
  clock.advance(60_000)
  expect(await Promise.race([appended, clock.turn()])).toBeUndefined()
  clock.advance(250)
  await expect(appended).rejects.toMatchObject({ name: 'LogUnavailable' })
  await publisher.close()
})

test('a stream that answers no look for 15 seconds is one without servers', async () => {
  const clock = new VirtualClock()
  const told: boolean[] = []
  const link = silentLink(clock)
  link.answers = (answers) => void told.push(answers)
  const look: Stream['look'] = ({ signal } = {}) =>
    new Promise<StreamTail>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  const reading = new AbortController()
  new StreamMonitor(link, { look }, 1_000).until(reading.signal)
  clock.advance(15_999)
  await clock.turn()
  expect(told).toEqual([])
  clock.advance(1)
  await clock.turn()
  expect(told).toEqual([false])
  reading.abort()
})

test('a stream that is gone between a look and its check is told of by the next look', async () => {
  const clock = new VirtualClock()
  const gone = new EpochChanged('e', undefined)
  const looks = [{}, gone]
  const look: Stream['look'] = async () => {
    const next = looks.shift()!
    if (next instanceof Error) throw next
    return next as StreamTail
  }
  const refusal = new JetStreamApiError({ code: 404, err_code: 10059, description: 'stream not found' })
  const check = () => Promise.reject(new LogRefused('refused', { cause: refusal }))
  const reading = new AbortController()
  const trouble = new StreamMonitor(silentLink(clock), { look }, 1_000).until(reading.signal, check)
  clock.advance(1_000)
  await clock.turn()
  expect(trouble.aborted).toBe(false)
  clock.advance(1_000)
  await clock.turn()
  expect(trouble.reason).toBe(gone)
  reading.abort()
})
