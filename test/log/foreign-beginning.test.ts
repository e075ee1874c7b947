import type { StreamConfig } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LogMissing, LogTruncated, LogUnusable } from '../../src/log/errors.ts'
import { isOlder } from '../../src/log/jetstream/server-version.ts'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import { partsOfLog, removeLog } from '../../src/log/remove-log.ts'
import {
  findNatsServer,
  type NatsServers,
  natsServerVersion,
  startNatsServers,
} from '../../src/processes/nats-servers.ts'
import { Follower, failureOf, numbers, readAll, text } from './entries.ts'
import { CONTROL, ForeignScene, order } from './foreign-scene.ts'
import { describeNats } from './nats.ts'

/** Whether the servers of these tests know a setting that came with this version. */
function know(version: string): boolean {
  const found = natsServerVersion(findNatsServer() ?? '')
  return found !== undefined && !isOlder(found, version)
}

describeNats('where a log of a stream of others begins', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  test('removed, a group leaves nothing of its own, and the stream of the others stays', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish('1')
    const log = await scene.open()
    await log.notices.announce('a', new Uint8Array(1), 60_000)
    const other = await scene.open({ control: 'orders.other' })
    await other.notices.announce('a', new Uint8Array(1), 60_000)
    const place = { servers: nats.urls, stream: 'ORDERS', control: CONTROL }
    const before = await scene.buckets()
    expect(before).toHaveLength(4)
    const parts = (await partsOfLog(place, 'g')).map((part) => part.replace('the stream ', ''))
    await Promise.all([log.close(), other.close()])
    await removeLog(place, 'g')
    expect(await scene.buckets()).toEqual(before.filter((name) => !parts.includes(name)))
    expect(await scene.buckets()).toHaveLength(2)
    expect((await scene.others.jsm.streams.info('ORDERS')).state.messages).toBe(1)
    // Parts that are gone already are no error.
    await removeLog(place, 'g')
  })

  test('with message 1, if nothing else is said: an index is a sequence number', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish('1', '2', '3')
    const log = await scene.open()
    const [first] = await readAll(log)
    expect(first).toMatchObject({ index: 1, kind: 'command', author: '', epoch: log.epoch })
    expect(await log.append([order('4')])).toMatchObject({ first: 4, last: 4 })
    expect((await readAll(log)).map(text)).toEqual(numbers(1, 4))
  })

  test('not with message 1, if it is gone: the error tells the other ways', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish(...numbers(1, 20))
    await scene.others.jsm.streams.purge('ORDERS', { seq: 8 })
    const failure = await failureOf(scene.open())
    expect(failure).toBeInstanceOf(LogUnusable)
    expect(String(failure)).toMatch(/messages 1 to 7 .*'oldest'.*'new'/)
    expect(await scene.buckets()).toEqual([])
    for (const from of [7, 22]) await expect(scene.open({ from })).rejects.toThrow('messages 8 to 20')
  })

  test.each([
    ['oldest', 8, 13],
    ['new', 21, 0],
    [10, 10, 11],
    [21, 21, 0],
  ] as const)('with %s, which is message %i', async (from, sequence, count) => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish(...numbers(1, 20))
    await scene.others.jsm.streams.purge('ORDERS', { seq: 8 })
    const log = await scene.open({ from })
    expect(await log.bounds()).toMatchObject({ first: 1, newest: { index: count } })
    expect((await readAll(log)).map(text)).toEqual(count === 0 ? [] : numbers(sequence, 20))
    const index = 22 - sequence
    expect(await log.append([order('21')])).toMatchObject({ first: index, last: index })
    // What is said later does not count.
    const other = await scene.open({ from: 'all' })
    expect(other.epoch).toBe(log.epoch)
    expect((await readAll(other)).map(text)).toEqual(numbers(sequence, 21))
    await scene.others.jsm.streams.purge('ORDERS', { seq: 22 })
    expect(await other.bounds()).toMatchObject({ first: index + 1, newest: { index } })
  })

  test('behind a tenth of what is there, if the stream has limits: that would be gone soon', async () => {
    await using scene = await ForeignScene.on(nats, { max_msgs: 100 })
    await scene.publish(...numbers(1, 150))
    const log = await scene.open({ from: 'oldest' })
    expect((await readAll(log)).map(text)).toEqual(numbers(61, 150))
  })

  describe('in the middle of which messages were deleted before', () => {
    const DELETED = [3, 4, 5, 9, 20]
    const texts = numbers(1, 20).map((n) => (DELETED.includes(Number(n)) ? '' : n))

    async function withGaps(): Promise<ForeignScene> {
      const scene = await ForeignScene.on(nats)
      await scene.publish(...numbers(1, 20))
      for (const sequence of DELETED) await scene.others.jsm.streams.deleteMessage('ORDERS', sequence)
      return scene
    }

    test('an entry that does nothing is in the place of each, for every reader', async () => {
      await using scene = await withGaps()
      const log = await scene.open()
      for (const handle of [log, await scene.open()]) {
        const entries = await readAll(handle)
        expect(entries.map(text)).toEqual(texts)
        const fillers = entries.filter(({ epoch }) => epoch === '')
        expect(fillers.map(({ index }) => index)).toEqual(DELETED)
        expect(new Set(entries.map(({ id }) => id)).size).toBe(20)
      }
      const follower = new Follower(log, { index: 3 })
      expect((await follower.take(17)).map(text)).toEqual(texts.slice(3))
      await scene.publish('21')
      expect(text((await follower.next())!)).toBe('21')
    })

    test('a reader may begin at any of them, and knows the one that it had', async () => {
      await using scene = await withGaps()
      const log = await scene.open()
      for (const { index, id } of await readAll(log)) {
        expect((await readAll(log, { index, id })).map(text)).toEqual(texts.slice(index))
      }
    })

    test('a log that begins behind some knows the others', async () => {
      await using scene = await withGaps()
      const log = await scene.open({ from: 5 })
      expect((await readAll(log)).map(text)).toEqual(texts.slice(4))
    })

    test('the newest time is that of the newest message, deleted or not', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish('1', '2', '3')
      for (const sequence of [2, 3]) await scene.others.jsm.streams.deleteMessage('ORDERS', sequence)
      const log = await scene.open()
      const { newest } = await log.bounds()
      for (const index of [0, 1, 2]) {
        for await (const batch of log.read({ index })) expect(batch.newest).toEqual(newest)
      }
    })

    test('they are not pruned before the messages in front of them', async () => {
      await using scene = await withGaps()
      const log = await scene.open({ prune: true })
      await log.prune(2)
      expect((await log.bounds()).first).toBe(3)
      expect((await readAll(log, { index: 2 })).map(text)).toEqual(texts.slice(2))
    })

    test('at more than 1,000 places is refused, and the error tells where it would do', async () => {
      await using scene = await ForeignScene.on(nats, { subjects: ['orders.>'] })
      for (let n = 0; n < 1_010; n++) {
        await Promise.all(
          ['orders.kept', 'orders.gone'].map((subject) => scene.others.publish({ subject }, '')),
        )
      }
      await scene.others.jsm.streams.purge('ORDERS', { filter: 'orders.gone' })
      const failure = await failureOf(scene.open())
      expect(failure).toBeInstanceOf(LogUnusable)
      const from = Number(/number from (\d+) on/.exec(String(failure))![1])
      const log = await scene.open({ from })
      expect((await readAll(log)).length).toBeGreaterThan(1_900)
    })
  })

  test('a message that is deleted later is LogTruncated for who has not read it', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish(...numbers(1, 10))
    const log = await scene.open()
    const before = await readAll(log)
    await scene.others.jsm.streams.deleteMessage('ORDERS', 4)
    for (const failure of [await failureOf(readAll(log)), await new Follower(log).failure()]) {
      expect(failure).toBeInstanceOf(LogTruncated)
      expect(failure).toMatchObject({ wanted: 4, first: 5 })
    }
    const { index, id } = before[3]!
    expect((await readAll(log, { index, id })).map(text)).toEqual(numbers(5, 10))
  })

  test('so are the newest, while nothing comes after them', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish(...numbers(1, 10))
    const log = await scene.open()
    await scene.others.jsm.streams.deleteMessage('ORDERS', 10)
    expect(await new Follower(log).failure()).toMatchObject({ wanted: 10, first: 11 })
  })

  describe('a configuration', () => {
    const REFUSED: [string, Partial<StreamConfig>, string?][] = [
      ['retention', { retention: 'workqueue' }],
      ['retention', { retention: 'interest' }],
      ['storage', { storage: 'memory' }],
      ['max_msgs_per_subject', { max_msgs_per_subject: 3 }],
      ['allow_rollup_hdrs', { allow_rollup_hdrs: true }],
      ['no_ack', { no_ack: true }],
      ['max_msg_size', { max_msg_size: 4_096 }],
      ['subject_transform', { subject_transform: { src: 'orders.a', dest: 'orders.b' } }, '2.10.0'],
      ['allow_msg_ttl', { allow_msg_ttl: true }, '2.11.0'],
      ['allow_msg_counter', { allow_msg_counter: true }, '2.12.0'],
      ['allow_msg_schedules', { allow_msg_schedules: true }, '2.12.0'],
      ['persist_mode', { persist_mode: 'async' } as Partial<StreamConfig>, '2.12.0'],
      ['orders.anchorage', { subjects: ['orders.new'] }],
    ]

    test.each(REFUSED.filter(([, , version = '2.9.0']) => know(version)))(
      'with another %s is refused, and nothing is made: %o',
      async (what, config) => {
        await using scene = await ForeignScene.on(nats, config)
        const before = (await scene.others.jsm.streams.info('ORDERS')).config
        const failure = await failureOf(scene.open())
        expect(failure).toBeInstanceOf(LogUnusable)
        expect(String(failure)).toContain(what)
        expect((await scene.others.jsm.streams.info('ORDERS')).config).toEqual(before)
        expect(await scene.buckets()).toEqual([])
      },
    )

    test('that is sealed is refused', async () => {
      await using scene = await ForeignScene.on(nats)
      const { config } = await scene.others.jsm.streams.info('ORDERS')
      await scene.others.nc.request(
        '$JS.API.STREAM.UPDATE.ORDERS',
        JSON.stringify({ ...config, sealed: true }),
      )
      await expect(scene.open()).rejects.toThrow('sealed')
    })

    test('may have limits, compression, deny_delete and deny_purge, and is not changed', async () => {
      const config = {
        max_age: nanos(3_600_000),
        max_msgs: 1_000,
        max_bytes: 10_000_000,
        discard: 'new',
        deny_delete: true,
        deny_purge: true,
        duplicate_window: nanos(1_000),
      } as const
      await using scene = await ForeignScene.on(nats, config)
      const before = (await scene.others.jsm.streams.info('ORDERS')).config
      const log = await scene.open()
      await log.append([order('1')])
      await log.noteUpgrade('map/2', 1)
      await log.notices.announce('alice', new Uint8Array(1), 1_000)
      expect((await scene.others.jsm.streams.info('ORDERS')).config).toEqual(before)
    })

    test('gets the control subject if that is asked for', async () => {
      await using scene = await ForeignScene.on(nats, { subjects: ['orders.new'] })
      const failure = await failureOf(scene.open())
      expect(String(failure)).toContain('addControlSubject: true')
      const before = (await scene.others.jsm.streams.info('ORDERS')).config
      const log = await scene.open({ addControlSubject: true })
      await log.append([{ kind: 'control', payload: new Uint8Array(1) }])
      const after = (await scene.others.jsm.streams.info('ORDERS')).config
      expect(after).toEqual({ ...before, subjects: ['orders.new', CONTROL] })
    })

    test('that has nothing but sources gets it too', async () => {
      await using scene = await ForeignScene.on(nats)
      const { streams } = scene.others.jsm
      await streams.add({ name: 'ALL', sources: [{ name: 'ORDERS' }] })
      const log = await scene.open({ stream: 'ALL', control: 'all.anchorage', addControlSubject: true })
      await log.append([{ kind: 'control', payload: new Uint8Array(1) }])
      expect((await streams.info('ALL')).config.subjects).toEqual(['all.anchorage'])
    })

    test('that is changed to one that does not do ends every reader', async () => {
      await using scene = await ForeignScene.on(nats)
      const log = await scene.open()
      const failure = new Follower(log).failure()
      await scene.others.jsm.streams.update('ORDERS', { max_msgs_per_subject: 5 })
      expect(await failure).toBeInstanceOf(LogUnusable)
      await expect(log.append([order('1')])).rejects.toThrow('max_msgs_per_subject')
    })
  })

  test('nowhere, if there is no stream, or no group and none may be made', async () => {
    await using scene = await ForeignScene.on(nats)
    await expect(scene.open({ stream: 'PAYMENTS' })).rejects.toThrow(LogMissing)
    const failure = await failureOf(scene.open({ create: false }))
    expect(failure).toBeInstanceOf(LogMissing)
    expect(String(failure)).toContain(`there is no log at ${CONTROL} in stream ORDERS`)
    expect(await scene.buckets()).toEqual([])
  })
})

test.each([
  [{ control: 'orders.>' }, 'no wildcard'],
  [{ control: 'orders anchorage' }, 'no wildcard'],
  [{ control: CONTROL, stream: undefined }, 'no stream'],
  [{ control: CONTROL, replicas: 3 }, 'replicas'],
  [{ control: CONTROL, duplicateWindowMs: 1_000 }, 'duplicateWindowMs'],
  [{ control: CONTROL, from: 0 }, 'from'],
  [{ control: CONTROL, from: 'latest' as 'new' }, 'from'],
  [{ from: 'all' }, 'control'],
  [{ addControlSubject: true }, 'control'],
  [{ prune: true }, 'control'],
] as const)('options that make no sense together are a RangeError: %o', (options, what) => {
  const make = () => jetstreamLog({ servers: 'nats://localhost', stream: 'ORDERS', ...options })
  expect(make).toThrow(RangeError)
  expect(make).toThrow(what)
})
