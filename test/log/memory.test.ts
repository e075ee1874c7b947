import { expect, test } from 'vitest'
import { LogMissing } from '../../src/log/errors.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { conformance } from './conformance.ts'
import { commands, init, readAll } from './entries.ts'

for (const messages of [undefined, { subject: 'orders.new' }]) {
  conformance(messages === undefined ? 'memoryLog' : 'memoryLog of messages', {
    lacks: { cutOff: 'no servers order it' },
    ...(messages && { messages }),
    async make() {
      const backend = memoryLog({ maxEntryBytes: 100_000, messages: messages !== undefined })
      return {
        backend,
        reopen: () => backend,
        async recreate() {
          backend.recreate()
        },
        async save() {
          const { newest } = await (await backend.open(init())).bounds()
          return async () => backend.rewind(newest.index)
        },
        async publish(message, payload) {
          backend.publish(message, payload)
        },
        async dispose() {},
      }
    },
  })
}

test('its clock and its epochs are options, so that a run can be repeated', async () => {
  let now = 1000
  const backend = memoryLog({ now: () => now, epoch: 'first' })
  const log = await backend.open(init())
  await log.append(commands('a'))
  now = 400
  await log.append(commands('b'))
  now = 2000
  await log.append(commands('c'))
  expect(log.epoch).toBe('first')
  expect((await readAll(log)).map(({ timestampMs }) => timestampMs)).toEqual([1000, 400, 2000])
  backend.recreate('second')
  expect((await backend.open(init())).epoch).toBe('second')
})

test('a presence ages by the given clock, at any time it shows', async () => {
  let now = 1000
  const log = await memoryLog({ now: () => now }).open(init())
  await log.notices.announce('alice', new Uint8Array(1), 50)
  for (const [atMs, ageMs] of [
    [1049, 49],
    [1050, 50],
    [100, -900],
  ] as const) {
    now = atMs
    expect(await log.notices.read()).toMatchObject([{ member: 'alice', ageMs, ttlMs: 50 }])
  }
})

test('a log that nobody has made is LogMissing to whoever has no signature to make it with', async () => {
  const backend = memoryLog()
  const whoever = { group: 'a group', author: 'bob', create: false }
  await expect(backend.open(whoever)).rejects.toThrow(LogMissing)
  await backend.open(init())
  expect(await backend.open(whoever)).toMatchObject({ signature: 'map/1' })
  backend.recreate()
  await expect(backend.open(whoever)).rejects.toThrow(LogMissing)
})

test('a log can only be put back to an entry it still has', async () => {
  const backend = memoryLog()
  const log = await backend.open(init())
  await log.append(commands('1', '2', '3'))
  await log.prune(2)
  expect(() => backend.rewind(1)).toThrow(RangeError)
  expect(() => backend.rewind(4)).toThrow(RangeError)
  backend.rewind(2)
  expect(await log.append(commands('another'))).toEqual({ first: 3, last: 3 })
})
