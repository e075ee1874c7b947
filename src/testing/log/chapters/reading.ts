import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Cursor } from '../../../log/log.ts'
import type { Chapter, Check } from '../chapter.ts'
import { commands, numbers, text } from '../entries.ts'
import { Follower, readAll } from '../follower.ts'
import type { Scene } from '../scene.ts'

const FOLLOW = 'every entry after the cursor, once and in order, then each one that is appended (Log.follow)'
const READ = 'like follow, but it ends with the entry that was the newest when it began (Log.read)'
const BATCH = 'a batch is never empty, and there is no gap within it, nor to the batch before (LogBatch)'
const ABORT = 'when the signal aborts, the iteration ends without an error (Log.follow)'

const cursors = [-1, 0.5, Number.NaN, '1' as unknown as number].map(
  (index): Check => ({
    title: `after ${inspect(index)} is a RangeError`,
    promise: 'a cursor that is none throws RangeError, at the call (Log.follow)',
    async run({ log }) {
      assert.throws(() => log.read({ index }), RangeError)
      assert.throws(() => log.follow({ index }), RangeError)
    },
  }),
)

export const reading: Chapter = {
  group: 'reading',
  checks: [
    ...cursors,
    {
      title: 'read begins after the cursor and ends with the entry that was the newest',
      promise: READ,
      async run({ log, append }) {
        await append(...numbers(1, 10))
        assert.deepEqual((await readAll(log, { index: 7 })).map(text), ['8', '9', '10'])
        assert.deepEqual(await readAll(log, { index: 10 }), [])
      },
    },
    {
      title: 'read ends, although more is appended while it is consumed',
      promise: READ,
      async run({ log, append }) {
        await append(...numbers(1, 3000))
        let last = 0
        for await (const { entries } of log.read({ index: 0 })) {
          await append('more')
          last = entries.at(-1)!.index
        }
        assert.equal(last, 3000)
      },
    },
    {
      title: 'batches are gapless and bounded, in entries and in bytes',
      promise: BATCH,
      run: boundedBatches,
    },
    {
      title: 'follow gives the entries that are there, then those of every append',
      promise: FOLLOW,
      async run({ log, open, append }) {
        const other = await open({ author: 'bob' })
        await append('1', '2')
        const follower = new Follower(log, { index: 1 })
        assert.deepEqual((await follower.take(1)).map(text), ['2'])
        await append('3')
        await other.append(commands('4', '5'))
        assert.deepEqual((await follower.take(3)).map(text), ['3', '4', '5'])
      },
    },
    {
      title: 'a follower of an empty log waits for its first entry',
      promise: FOLLOW,
      async run({ log, open }) {
        const first = new Follower(log).take(1)
        await (await open()).append(commands('1'))
        assert.deepEqual((await first).map(text), ['1'])
      },
    },
    {
      title: 'a follower sees every entry once, in order, while several handles append',
      promise: FOLLOW,
      async run({ log, open }) {
        const handles = [log, await open({ author: 'bob' }), await open({ author: 'carol' })]
        const follower = new Follower(await open())
        const appends = handles.flatMap((handle, h) =>
          numbers(1, 100).map((n) => handle.append(commands(`${h}:${n}`))),
        )
        const entries = await follower.take(300)
        const indexes = entries.map(({ index }) => index)
        assert.deepEqual(indexes, numbers(1, 300).map(Number))
        await Promise.all(appends)
        const own = entries.map(text).filter((each) => each.startsWith('1:'))
        assert.deepEqual(
          own,
          numbers(1, 100).map((n) => `1:${n}`),
        )
      },
    },
    {
      title: 'follow ends by its signal, without an error',
      promise: ABORT,
      async run({ log }) {
        const follower = new Follower(log)
        const next = follower.next()
        follower.stop()
        assert.equal(await next, undefined)
      },
    },
    {
      title: 'follow ends at once if its signal is aborted already',
      promise: ABORT,
      async run({ log, append }) {
        await append('1')
        for await (const _ of log.follow({ index: 0 }, { signal: AbortSignal.abort() }))
          assert.fail('a batch was given')
      },
    },
    {
      title: 'a consumer may leave in the middle, and begin again from there',
      promise: 'an iteration ends when its consumer leaves; another begins after any cursor (Log.follow)',
      async run({ log, append }) {
        await append(...numbers(1, 5000))
        let cursor: Cursor = { index: 0 }
        for await (const { entries } of log.follow(cursor)) {
          cursor = entries.at(-1)!
          break
        }
        const rest = await readAll(log, cursor)
        assert.equal(rest[0]!.index, cursor.index + 1)
        assert.equal(rest.at(-1)!.index, 5000)
      },
    },
    {
      title: 'a reader that reconnects goes on with the entry after its last one',
      promise: 'reading begins after the cursor, with another handle too (Cursor)',
      async run({ log, open, append }) {
        await append('1', '2', '3')
        const [, second] = await readAll(log)
        const { index, id } = second!
        await log.close()
        const again = await open()
        assert.deepEqual((await readAll(again, { index, id })).map(text), ['3'])
      },
    },
  ],
}

async function boundedBatches({ log }: Scene): Promise<void> {
  const large = { kind: 'command', payload: new Uint8Array(log.maxEntryBytes) } as const
  await log.append([...commands(...numbers(1, 5000)), ...Array.from({ length: 12 }, () => large)])
  let next = 1
  for await (const { entries, newest } of log.read({ index: 0 })) {
    for (const { index } of entries) assert.equal(index, next++)
    assert(entries.length < 5000, `one batch has ${entries.length} entries: give them in smaller ones`)
    const bytes = entries.reduce((sum, { payload }) => sum + payload.byteLength, 0)
    assert(bytes < 10 * log.maxEntryBytes, `one batch has ${bytes} bytes: give them in smaller ones`)
    assert.equal(newest.index, 5012)
  }
  assert.equal(next, 5013)
}
