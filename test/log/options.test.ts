import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EPOCH_BYTES_MAX, TIMER_MS_MAX } from '../../src/bounds.ts'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import type { LogBackend } from '../../src/log/log.ts'
import { logAt } from '../../src/log/log-at.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { type SqliteLogOptions, sqliteLog } from '../../src/log/sqlite.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { commands, Follower, init, text } from './entries.ts'
import { describeNats } from './nats.ts'

/** Values that a JavaScript program may give in place of a number. */
const NO_NUMBER = [Number.NaN, Number.POSITIVE_INFINITY, -1, '5', null, {}] as unknown as number[]

/** One handle writes, and another one that follows gets the entry. */
async function expectWorks(backend: LogBackend): Promise<void> {
  const group = randomUUID()
  const writer = await backend.open(init({ group }))
  const reader = await backend.open(init({ group, author: 'bob' }))
  const follower = new Follower(reader)
  await writer.append(commands('a'))
  await writer.notices.announce('alice', new Uint8Array(1), 60_000)
  expect((await follower.take(1)).map(text)).toEqual(['a'])
  expect((await reader.notices.read()).map(({ member }) => member)).toEqual(['alice'])
  follower.stop()
  await reader.close()
  await writer.close()
}

describe('a file', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'options-'))
  })
  afterAll(async () => {
    await rm(dir, { recursive: true })
  })

  test.each<Partial<SqliteLogOptions>>([
    { lockTimeoutMs: 0 },
    { lockTimeoutMs: TIMER_MS_MAX },
    { pollMs: 1 },
    { pollMs: TIMER_MS_MAX },
  ])('works with %o', async (options) => {
    await expectWorks(sqliteLog({ path: join(dir, `${randomUUID()}.db`), ...options }))
  })

  test.each<[keyof SqliteLogOptions, readonly unknown[], string]>([
    ['lockTimeoutMs', [...NO_NUMBER, TIMER_MS_MAX + 1], 'give milliseconds from 0 to 2147483647'],
    ['pollMs', [...NO_NUMBER, 0, TIMER_MS_MAX + 1], 'give milliseconds from 1 to 2147483647'],
    ['path', [undefined, null, '', 5], 'give the path of a file'],
  ])('is not opened with an impossible %s', (name, values, message) => {
    for (const value of values) {
      expect(() => sqliteLog({ path: 'never.db', [name]: value } as SqliteLogOptions)).toThrow(message)
    }
  })
})

describeNats('a stream', () => {
  let nats: NatsServers
  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  test.each<Partial<JetstreamLogOptions>>([
    { duplicateWindowMs: 100 },
    { duplicateWindowMs: TIMER_MS_MAX },
    { pollMs: 1 },
    { pollMs: TIMER_MS_MAX },
    { replicas: 1 },
  ])('works with %o', async (options) => {
    await expectWorks(jetstreamLog({ servers: nats.urls, ...options }))
  })

  test.each<[keyof JetstreamLogOptions, readonly unknown[], string]>([
    ['duplicateWindowMs', [...NO_NUMBER, 99, TIMER_MS_MAX + 1], 'give milliseconds from 100 to 2147483647'],
    ['pollMs', [...NO_NUMBER, 0, TIMER_MS_MAX + 1], 'give milliseconds from 1 to 2147483647'],
    ['replicas', [0, 2, 4, 6, '3', Number.NaN], 'give 1, 3 or 5'],
  ])('is not opened with an impossible %s', (name, values, message) => {
    for (const value of values) {
      const options = { servers: nats.urls, [name]: value } as JetstreamLogOptions
      expect(() => jetstreamLog(options)).toThrow(message)
      expect(() => logAt(options)).toThrow(message)
    }
  })
})

test('an epoch may be as long as a request allows, and no longer', async () => {
  const epoch = 'e'.repeat(EPOCH_BYTES_MAX)
  expect((await memoryLog({ epoch }).open(init())).epoch).toBe(epoch)
  const log = memoryLog()
  const { epoch: before } = await log.open(init())
  for (const bad of [`${epoch}e`, '']) {
    expect(() => memoryLog({ epoch: bad })).toThrow('give from 1 to 64')
    expect(() => log.recreate(bad)).toThrow('give from 1 to 64')
  }
  expect((await log.open(init())).epoch).toBe(before)
})
