import { DeliverPolicy, jetstream } from '@nats-io/jetstream'
import { headers, nanos } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  AppendUncertain,
  EntryTooLarge,
  LogRefused,
  LogUnavailable,
  LogUnusable,
} from '../../src/log/errors.ts'
import type { NewMessage } from '../../src/message.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { failureOf, numbers, readAll, text } from './entries.ts'
import { CONTROL, ForeignScene, order } from './foreign-scene.ts'
import { describeNats } from './nats.ts'

const SUBJECTS = ['orders.new', 'orders.paid.*', 'payments.>', CONTROL]

describeNats('writing to a stream of others', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterEach(async () => {
    for (const server of nats?.servers ?? []) server.resume()
    await nats?.start()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  const command = (message: NewMessage, payload: Uint8Array = Buffer.from('x')) =>
    [{ kind: 'command', payload, message }] as const

  test('publishes like any client: others find the subject, the headers and the bytes', async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const given = { Priority: 'high', Tags: ['a', 'b'] }
    const { firstId } = await log.append(command({ subject: 'orders.paid', headers: given }, payload))
    const consumer = await jetstream(scene.others.nc).consumers.get('ORDERS', {
      deliver_policy: DeliverPolicy.All,
    })
    const message = (await consumer.next())!
    expect(message.subject).toBe('orders.paid')
    expect(Buffer.from(message.data)).toEqual(Buffer.from(payload))
    expect(message.headers!.get('Priority')).toBe('high')
    expect(message.headers!.values('Tags')).toEqual(['a', 'b'])
    expect(message.headers!.get('Nats-Msg-Id')).toBe(firstId)
    expect(message.headers!.keys().sort()).toEqual(['Nats-Msg-Id', 'Priority', 'Tags'])
  })

  test('takes an id from a header only if it looks like ours', async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    for (const id of ['order-7', 'anchorage.', `anchorage.${'x'.repeat(300)}`, 'anchorage.abc.1']) {
      await scene.others.publish({ subject: 'orders.new', headers: { 'Nats-Msg-Id': id } }, id)
    }
    for (const { id } of await readAll(log)) expect(id).toMatch(/^@\d{19}\.\d$/)
  })

  test("what others publish on the group's own subject does nothing, and is an entry all the same", async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    for (const data of [new Uint8Array(0), new Uint8Array(3), new Uint8Array(600).fill(255)]) {
      await scene.others.publish({ subject: CONTROL }, data)
    }
    await log.append([order('4')])
    const entries = await readAll(log)
    expect(entries.map(({ epoch }) => epoch)).toEqual(['', '', '', log.epoch])
    expect(new Set(entries.map(({ id }) => id)).size).toBe(4)
  })

  test.each(['two words: x', 'Schl\u00fcssel: x', ' Folded: x', 'Line: x\ny'])(
    'by others with a header that cannot be parsed, %j, is a message without headers',
    async (line) => {
      await using scene = await ForeignScene.on(nats)
      const log = await scene.open()
      const bytes = Buffer.from(`NATS/1.0\r\nFine: yes\r\n${line}\r\n\r\n`)
      const unparsable = Object.assign(headers(), { encode: () => bytes })
      await jetstream(scene.others.nc).publish('orders.new', 'x', { headers: unparsable })
      await scene.publish('behind')
      const [entry, behind] = await readAll(log)
      expect(entry).toMatchObject({ message: { subject: 'orders.new', headers: {} } })
      expect(text(entry!)).toBe('x')
      // Whoever has read it finds it again.
      expect(await readAll(log, entry)).toMatchObject([{ id: behind!.id }])
    },
  )

  test.each(['orders.new', 'orders.paid.cash', 'payments.a.b'])('takes the subject %s', async (subject) => {
    await using scene = await ForeignScene.on(nats, { subjects: SUBJECTS })
    const log = await scene.open()
    await log.append(command({ subject }))
    expect((await readAll(log))[0]!.message).toMatchObject({ subject })
  })

  const refused: [string, NewMessage][] = [
    ['no subject', { subject: 'orders.old' }],
    ['no subject', { subject: 'orders' }],
    ['no subject', { subject: 'orders.paid' }],
    ['no subject', { subject: 'orders.paid.a.b' }],
    ['no subject', { subject: 'payments' }],
    ['no wildcard', { subject: 'payments.>' }],
    ['no wildcard', { subject: 'orders..new' }],
    ['no wildcard', { subject: 'orders. new' }],
    ['no wildcard', { subject: '' }],
    ['no wildcard', { subject: 7 as unknown as string }],
    ["group's own", { subject: CONTROL }],
    ["Anchorage's own", { subject: 'orders.new', headers: { 'nats-msg-id': 'x' } }],
    ['one line', { subject: 'orders.new', headers: { a: 'b\r\nc' } }],
    ['one line', { subject: 'orders.new', headers: { 'a b:': 'c' } }],
  ]
  test.each(refused)(
    'refuses what has %s, and nothing of the append is written: %o',
    async (what, message) => {
      await using scene = await ForeignScene.on(nats, { subjects: SUBJECTS })
      const log = await scene.open()
      const failure = await failureOf(log.append([order('before'), ...command(message)]))
      expect(failure).toBeInstanceOf(RangeError)
      expect((failure as Error).message).toContain(what)
      expect((await log.bounds()).newest.index).toBe(0)
    },
  )

  test('counts headers, and what the stream takes', async () => {
    await using scene = await ForeignScene.on(nats, { max_msg_size: 20_000 })
    const log = await scene.open()
    expect(log.maxEntryBytes).toBe(20_000 - 1_026)
    await log.append(command({ subject: 'orders.new' }, new Uint8Array(log.maxEntryBytes)))
    await log.append([{ kind: 'control', payload: new Uint8Array(log.maxEntryBytes) }])
    const headers = { a: 'x'.repeat(10_000) }
    await log.append(command({ subject: 'orders.new', headers }, new Uint8Array(9_000)))
    const large = command({ subject: 'orders.new', headers }, new Uint8Array(10_000))
    await expect(log.append(large)).rejects.toThrow(EntryTooLarge)
  })

  test('is refused when the stream is full', async () => {
    await using scene = await ForeignScene.on(nats, { max_msgs: 2, discard: 'new' })
    const log = await scene.open()
    await log.append([order('1'), order('2')])
    await expect(log.append([order('3')])).rejects.toThrow(LogRefused)
  })

  test('goes on with polls that are shorter than a look takes', async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open({ pollMs: 1 })
    nats.servers[0]!.pause()
    const appends = numbers(1, 3_000).map((n) => log.append([order(n)]))
    nats.servers[0]!.resume()
    expect((await Promise.all(appends)).at(-1)).toMatchObject({ first: 3_000 })
  })

  test('that another stream takes is told: its number is not of this log', async () => {
    await using scene = await ForeignScene.on(nats, { subjects: ['orders.new', 'orders.old', CONTROL] })
    // It does not look in time.
    const log = await scene.open({ pollMs: 60_000 })
    await scene.others.jsm.streams.update('ORDERS', { subjects: ['orders.new', CONTROL] })
    await scene.others.jsm.streams.add({ name: 'OLD', subjects: ['orders.old'] })
    const failure = await failureOf(log.append(command({ subject: 'orders.old' })))
    expect(failure).toMatchObject({ name: 'AppendUncertain', cause: expect.any(LogUnusable) })
    expect(String(failure)).toContain('the stream OLD took a message on orders.old')
  })

  test('is in the log once, though the server is killed', async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    const appends = numbers(1, 2_000).map((n) => log.append([order(n)]))
    await appends[100]
    await nats.kill()
    await nats.start()
    const placed = await Promise.all(appends)
    const entries = await readAll(log)
    expect(entries).toHaveLength(2_000)
    for (const [n, { first, firstId }] of placed.entries()) {
      expect(entries[first - 1]).toMatchObject({ id: firstId })
      expect(text(entries[first - 1]!)).toBe(String(n + 1))
    }
  })

  test('without an answer is AppendUncertain after half of a short window, and there at most once', async () => {
    await using scene = await ForeignScene.on(nats, { duplicate_window: nanos(2_000) })
    // Nothing is to wait for a look.
    const log = await scene.open({ pollMs: 60_000 })
    await log.append([order('1')])
    nats.servers[0]!.pause()
    const outcomes = await Promise.all(
      numbers(2, 3_000).map((n) => log.append([order(n)]).catch((error: unknown) => error)),
    )
    expect(outcomes.some((outcome) => outcome instanceof AppendUncertain)).toBe(true)
    nats.servers[0]!.resume()
    await log.append([order('last')])
    const texts = (await readAll(log)).map(text)
    expect(new Set(texts).size).toBe(texts.length)
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome instanceof AppendUncertain) continue
      // What was never sent is not there.
      expect(texts.includes(String(n + 2))).toBe(!(outcome instanceof LogUnavailable))
    }
  })
})
