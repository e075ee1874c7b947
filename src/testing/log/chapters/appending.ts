import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AppendUncertain, EntryTooLarge } from '../../../log/errors.ts'
import type { Log } from '../../../log/log.ts'
import type { Chapter } from '../chapter.ts'
import { failsWith, failsWithReason, hasFields, isError } from '../claims.ts'
import { commands, numbers, text } from '../entries.ts'
import { readAll } from '../follower.ts'

const NOTHING = 'after any error but AppendUncertain no entry of the append was committed (Log.append)'

export const appending: Chapter = {
  group: 'appending',
  checks: [
    {
      title: 'a new log is empty and begins with entry 1',
      promise: 'indexes count from 1; the newest entry of an empty log has index and time 0 (LogTail)',
      async run({ log }) {
        hasFields(await log.bounds(), {
          epoch: log.epoch,
          first: 1,
          newest: { index: 0, timestampMs: 0 },
        })
        assert.deepEqual(await readAll(log), [])
        hasFields(await log.append(commands('a')), { first: 1, last: 1 })
      },
    },
    {
      title: 'an entry comes back as it was given, with its author, its epoch and an id',
      promise: 'an entry has the kind and the payload of its append, and the author of its handle (LogEntry)',
      async run({ log, open, authorOf }) {
        const bob = await open({ author: 'bob' })
        const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte)
        await log.append([{ kind: 'control', payload }])
        await bob.append([{ kind: 'command', payload: new Uint8Array(0) }])
        const [first, second] = await readAll(log)
        hasFields(first, { index: 1, author: 'alice', kind: 'control', epoch: log.epoch })
        assert.deepEqual(Uint8Array.from(first!.payload), payload)
        hasFields(second, { index: 2, author: authorOf('bob'), kind: 'command', epoch: log.epoch })
        assert.equal(second!.payload.byteLength, 0)
      },
    },
    {
      title: 'ids are unique, and the same for every reader',
      promise: 'an id is unique in the log (LogEntry.id)',
      async run({ log, open }) {
        const other = await open()
        for (const each of [log, other, log]) await each.append(commands('same', 'same'))
        const ids = (await readAll(log)).map(({ id }) => id)
        assert.equal(new Set(ids).size, 6, `these ids are not six different ones: ${ids.join(', ')}`)
        assert.deepEqual(
          (await readAll(await open())).map(({ id }) => id),
          ids,
        )
      },
    },
    {
      title: 'timestamps are the clock at the append',
      promise: "a timestamp is the backend's clock at the append, in milliseconds (LogEntry.timestampMs)",
      async run({ log }) {
        const before = Date.now()
        for (let n = 0; n < 20; n++) await log.append(commands('x'))
        const times = (await readAll(log)).map(({ timestampMs }) => timestampMs)
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        )
        const [first, last] = [times[0]!, times.at(-1)!]
        assert(first >= before, `the first timestamp, ${first}, is before the append, at ${before}`)
        assert(last <= Date.now(), `the last timestamp, ${last}, is later than now`)
        hasFields((await log.bounds()).newest, { index: 20, timestampMs: last })
      },
    },
    {
      title: 'concurrent appends of one handle are in the order of the calls',
      promise: 'concurrent appends of one handle are ordered as called (Log.append)',
      async run({ log }) {
        const appended = await Promise.all(numbers(1, 300).map((n) => log.append(commands(n))))
        assert.deepEqual(
          appended.map(({ first }) => first),
          numbers(1, 300).map(Number),
        )
        assert.deepEqual((await readAll(log)).map(text), numbers(1, 300))
      },
    },
    {
      title: 'the entries of one append are in their order, even among other appends',
      promise: 'entries are appended in their order, and first and last are their indexes (Appended)',
      async run({ log, open }) {
        const handles = [log, await open({ author: 'bob' }), await open({ author: 'carol' })]
        const results = await Promise.all(handles.flatMap(appendTriples))
        const entries = await readAll(log)
        assert.equal(entries.length, 180)
        for (const { at, expected } of results) {
          const own = entries.filter((entry) => text(entry).startsWith(`${expected}:`))
          assert.deepEqual(own.map(text), [`${expected}:1`, `${expected}:2`, `${expected}:3`])
          hasFields(at, { first: own[0]!.index, last: own[2]!.index })
        }
      },
    },
    {
      title: 'an empty list is a RangeError',
      promise: 'what no log may take is refused with a RangeError (Log.append)',
      async run({ log }) {
        await failsWith(log.append([]), RangeError)
      },
    },
    {
      title: 'an entry beyond the limit is EntryTooLarge, and none of its append is written',
      promise: `EntryTooLarge if an entry exceeds maxEntryBytes; ${NOTHING}`,
      async run({ log }) {
        const payload = new Uint8Array(log.maxEntryBytes)
        await log.append([{ kind: 'command', payload }])
        const tooLarge = { kind: 'command', payload: new Uint8Array(log.maxEntryBytes + 1) } as const
        await failsWith(log.append([...commands('small'), tooLarge]), EntryTooLarge, {
          bytes: log.maxEntryBytes + 1,
          maxBytes: log.maxEntryBytes,
        })
        assert.equal((await log.bounds()).newest.index, 1)
      },
    },
    {
      title: 'a payload that is no bytes is a RangeError, and nothing of its append is written',
      promise: `what no log may take is refused with a RangeError; ${NOTHING}`,
      async run({ log }) {
        const text = { kind: 'command', payload: 'text' as unknown as Uint8Array } as const
        await failsWith(log.append([...commands('a'), text]), RangeError)
        assert.equal((await log.bounds()).newest.index, 0)
      },
    },
    {
      title: 'an aborted signal keeps an append out of the log',
      promise: `an aborted signal rejects with its reason; ${NOTHING}`,
      async run({ log }) {
        const reason = new Error('changed my mind')
        await failsWithReason(log.append(commands('x'), { signal: AbortSignal.abort(reason) }), reason)
        assert.equal((await log.bounds()).newest.index, 0)
      },
    },
    {
      title: 'an append aborted on its way is in the log, is not in the log, or is AppendUncertain',
      promise: `AppendUncertain if some entries may have been committed and some not; ${NOTHING}`,
      async run({ log }) {
        const reason = new Error('changed my mind')
        const outcomes = await Promise.all(numbers(1, 50).map((n) => abortedAppend(log, n, reason)))
        await log.append(commands('last'))
        const texts = (await readAll(log)).map(text)
        for (const { n, outcome } of outcomes) {
          const count = texts.filter((each) => each === n).length
          if (outcome === 'written')
            assert.equal(count, 1, `append ${n} resolved, and is there ${count} times`)
          else if (outcome === reason)
            assert.equal(count, 0, `append ${n} rejected with the signal's reason, and is in the log`)
          else {
            isError(outcome, AppendUncertain)
            assert(count <= 1, `append ${n} is in the log ${count} times`)
          }
        }
      },
    },
  ],
}

function appendTriples(handle: Log, h: number) {
  return numbers(1, 20).map(async (n) => ({
    at: await handle.append(commands(`${h}:${n}:1`, `${h}:${n}:2`, `${h}:${n}:3`)),
    expected: `${h}:${n}`,
  }))
}

/** Appends with an odd number are aborted a turn later than the others. */
async function abortedAppend(log: Log, n: string, reason: Error): Promise<{ n: string; outcome: unknown }> {
  const abort = new AbortController()
  const outcome = log.append(commands(n), { signal: abort.signal }).then(
    () => 'written',
    (error: unknown) => error,
  )
  if (Number(n) % 2) await nextTurn()
  abort.abort(reason)
  return { n, outcome: await outcome }
}
