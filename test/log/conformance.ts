import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AUTHOR_BYTES_MAX, GROUP_BYTES_MAX, SIGNATURE_BYTES_MAX } from '../../src/bounds.ts'
import {
  AppendUncertain,
  EntryTooLarge,
  EpochChanged,
  LogClosed,
  LogMismatch,
  LogRewound,
  LogTruncated,
} from '../../src/log/errors.ts'
import { PRESENCE_TTL_MS_MAX } from '../../src/log/limits.ts'
import type { Cursor, Log, LogBackend, LogInit } from '../../src/log/log.ts'
import { isFresh, type Presence, Sightings } from '../../src/log/presence.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'

/** The place of one test's log, and the accidents that it can suffer there. */
export interface Place {
  /** A place where no log has been opened yet. Its `maxEntryBytes` is small enough for a test to exceed. */
  readonly backend: LogBackend
  /** The same place, as another process would open it. */
  reopen(): LogBackend
  /** Delete the log and make it again, for `init()`. */
  recreate(): Promise<void>
  /** Keep a copy of the log as it is now. The returned function puts the log back to that copy. */
  save(): Promise<() => Promise<void>>
  dispose(): Promise<void>
}

/** The contract of every log, for any backend. */
export function conformance(name: string, makePlace: () => Promise<Place>): void {
  describe(name, () => {
    let place: Place
    let log: Log
    let opened: Log[]

    async function open(overrides: Partial<LogInit> = {}, backend = place.reopen()): Promise<Log> {
      const another = await backend.open(init(overrides))
      opened.push(another)
      return another
    }

    beforeEach(async () => {
      place = await makePlace()
      opened = []
      log = await open({}, place.backend)
    })

    afterEach(async () => {
      await Promise.all(opened.map((each) => each.close()))
      await place.dispose()
    })

    // These come first, while the place has no history: restarted servers read all of it.
    describe('accidents', () => {
      /** Put the log back to the state in which entry 6 was its newest. */
      let rewind: () => Promise<void>

      beforeEach(async () => {
        await log.append(commands(...numbers(1, 6)))
        rewind = await place.save()
        await log.append(commands(...numbers(7, 10)))
      })

      test('a log made again is EpochChanged to every call', async () => {
        const { epoch } = log
        await place.recreate()
        const other = await open()
        expect(other.epoch).not.toBe(epoch)
        const calls = [
          log.bounds(),
          log.append(commands('x')),
          log.prune(1),
          readAll(log),
          new Follower(log, { index: 10 }).next(),
          log.notices.read(),
          log.notices.announce('alice', new Uint8Array(1), 1000),
        ]
        for (const failure of await Promise.all(calls.map(failureOf))) {
          expect(failure).toBeInstanceOf(EpochChanged)
          expect(failure).toMatchObject({ expected: epoch, found: other.epoch })
        }
        expect((await other.bounds()).newest.index).toBe(0)
      })

      test('a log made again is EpochChanged to a reader that waits for its next entry', async () => {
        const follower = new Follower(log)
        await follower.take(10)
        const failure = follower.failure()
        await place.recreate()
        expect(await failure).toBeInstanceOf(EpochChanged)
      })

      test('a log put back is LogRewound to a reader that read further', async () => {
        const { index, id } = (await readAll(log)).at(-1)!
        await rewind()
        const calls = [
          readAll(log, { index, id }),
          readAll(log, { index }),
          new Follower(log, { index }).next(),
        ]
        for (const failure of await Promise.all(calls.map(failureOf))) {
          expect(failure).toBeInstanceOf(LogRewound)
          expect(failure).toMatchObject({ index: 10, newest: 6 })
        }
      })

      test('a log put back is LogRewound to a reader that waits for its next entry', async () => {
        const follower = new Follower(log)
        await follower.take(10)
        const failure = follower.failure()
        await rewind()
        expect(await failure).toBeInstanceOf(LogRewound)
      })

      test('a log put back and written again is LogRewound to a reader that has the other entry', async () => {
        const before = await readAll(log)
        await rewind()
        const other = await open({ author: 'bob' })
        expect(await other.append(commands(...numbers(7, 20)))).toMatchObject({ first: 7, last: 20 })
        const { index, id } = before.at(-1)!
        await expect(readAll(other, { index, id })).rejects.toThrow(LogRewound)
        await expect(readAll(log, { index, id })).rejects.toThrow(LogRewound)
        const common = before[5]!
        expect((await readAll(log, { index: 6, id: common.id })).length).toBe(14)
      })

      test('a log made again or put back knows nothing of later versions', async () => {
        await log.noteUpgrade('map/2', 8)
        await rewind()
        expect(await open()).toMatchObject({ signature: 'map/1', upgraded: undefined })
        await (await open()).noteUpgrade('map/2', 6)
        await place.recreate()
        expect(await open()).toMatchObject({ signature: 'map/1', upgraded: undefined })
        expect(await failureOf(log.noteUpgrade('map/2', 6))).toBeInstanceOf(EpochChanged)
      })

      test('a log put back goes unnoticed by a reader that had not read so far, and takes appends', async () => {
        const follower = new Follower(log, { index: 3 })
        await rewind()
        expect(await log.append(commands('seventh'))).toMatchObject({ first: 7, last: 7 })
        expect((await follower.take(4)).map(text)).toEqual(['4', '5', '6', 'seventh'])
      })
    })

    describe('appending', () => {
      test('a new log is empty and begins with entry 1', async () => {
        expect(await log.bounds()).toEqual({
          epoch: log.epoch,
          first: 1,
          newest: { index: 0, timestampMs: 0 },
        })
        expect(await readAll(log)).toEqual([])
        expect(await log.append(commands('a'))).toMatchObject({ first: 1, last: 1 })
      })

      test('an entry comes back as it was given, with its author, its epoch and an id', async () => {
        const bob = await open({ author: 'bob' })
        const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte)
        await log.append([{ kind: 'control', payload }])
        await bob.append([{ kind: 'command', payload: new Uint8Array(0) }])
        const [first, second] = await readAll(log)
        expect(first).toMatchObject({ index: 1, author: 'alice', kind: 'control', epoch: log.epoch })
        expect(Buffer.from(first!.payload)).toEqual(Buffer.from(payload))
        expect(second).toMatchObject({ index: 2, author: 'bob', kind: 'command', epoch: log.epoch })
        expect(second!.payload.byteLength).toBe(0)
      })

      test('ids are unique, and the same for every reader', async () => {
        const other = await open()
        for (const each of [log, other, log]) await each.append(commands('same', 'same'))
        const ids = (await readAll(log)).map(({ id }) => id)
        expect(new Set(ids).size).toBe(6)
        expect((await readAll(await open())).map(({ id }) => id)).toEqual(ids)
      })

      test('timestamps are the clock at the append', async () => {
        const before = Date.now()
        for (let n = 0; n < 20; n++) await log.append(commands('x'))
        const times = (await readAll(log)).map(({ timestampMs }) => timestampMs)
        expect(times).toEqual(times.toSorted((a, b) => a - b))
        expect(times[0]).toBeGreaterThanOrEqual(before)
        expect(times.at(-1)).toBeLessThanOrEqual(Date.now())
        expect((await log.bounds()).newest).toEqual({ index: 20, timestampMs: times.at(-1) })
      })

      test('concurrent appends of one handle are in the order of the calls', async () => {
        const appended = await Promise.all(numbers(1, 300).map((n) => log.append(commands(n))))
        expect(appended.map(({ first }) => first)).toEqual(numbers(1, 300).map(Number))
        expect((await readAll(log)).map(text)).toEqual(numbers(1, 300))
      })

      test('the entries of one append are in their order, even among other appends', async () => {
        const handles = [log, await open({ author: 'bob' }), await open({ author: 'carol' })]
        const appends = handles.flatMap((handle, h) =>
          numbers(1, 20).map(async (n) => ({
            at: await handle.append(commands(`${h}:${n}:1`, `${h}:${n}:2`, `${h}:${n}:3`)),
            expected: `${h}:${n}`,
          })),
        )
        const results = await Promise.all(appends)
        const entries = await readAll(log)
        expect(entries.length).toBe(180)
        for (const { at, expected } of results) {
          const own = entries.filter((entry) => text(entry).startsWith(`${expected}:`))
          expect(own.map(text)).toEqual([`${expected}:1`, `${expected}:2`, `${expected}:3`])
          expect(at).toMatchObject({ first: own[0]!.index, last: own[2]!.index })
        }
      })

      test('an empty list is a RangeError', async () => {
        await expect(log.append([])).rejects.toThrow(RangeError)
      })

      test('an entry beyond the limit is EntryTooLarge, and none of its append is written', async () => {
        const payload = new Uint8Array(log.maxEntryBytes)
        await log.append([{ kind: 'command', payload }])
        const tooLarge = new Uint8Array(log.maxEntryBytes + 1)
        const failure = await failureOf(
          log.append([...commands('small'), { kind: 'command', payload: tooLarge }]),
        )
        expect(failure).toBeInstanceOf(EntryTooLarge)
        expect(failure).toMatchObject({ bytes: tooLarge.byteLength, maxBytes: log.maxEntryBytes })
        expect((await log.bounds()).newest.index).toBe(1)
      })

      test('a payload that is no bytes is a RangeError, and nothing of its append is written', async () => {
        const text = { kind: 'command', payload: 'text' as unknown as Uint8Array } as const
        await expect(log.append([...commands('a'), text])).rejects.toThrow(RangeError)
        expect((await log.bounds()).newest.index).toBe(0)
      })

      test('an aborted signal keeps an append out of the log', async () => {
        const reason = new Error('changed my mind')
        const failure = log.append(commands('x'), { signal: AbortSignal.abort(reason) })
        await expect(failure).rejects.toBe(reason)
        expect((await log.bounds()).newest.index).toBe(0)
      })

      test('an append aborted on its way is in the log, is not in the log, or is AppendUncertain', async () => {
        const reason = new Error('changed my mind')
        const outcomes = await Promise.all(
          numbers(1, 50).map(async (n) => {
            const abort = new AbortController()
            const outcome = log.append(commands(n), { signal: abort.signal }).then(
              () => 'written',
              (error: unknown) => error,
            )
            if (Number(n) % 2) await nextTurn()
            abort.abort(reason)
            return { n, outcome: await outcome }
          }),
        )
        await log.append(commands('last'))
        const texts = (await readAll(log)).map(text)
        for (const { n, outcome } of outcomes) {
          const count = texts.filter((each) => each === n).length
          if (outcome === 'written') expect(count).toBe(1)
          else if (outcome === reason) expect(count).toBe(0)
          else {
            expect(outcome).toBeInstanceOf(AppendUncertain)
            expect(count).toBeLessThanOrEqual(1)
          }
        }
      })
    })

    describe('opening', () => {
      test('every handle sees one log, of one epoch', async () => {
        await log.append(commands('a'))
        const other = await open({ author: 'bob' })
        expect(other.epoch).toBe(log.epoch)
        expect((await readAll(other)).map(text)).toEqual(['a'])
      })

      test.each(['group', 'signature'] as const)('another %s is a LogMismatch', async (field) => {
        const failure = await failureOf(place.reopen().open(init({ [field]: 'another' })))
        expect(failure).toBeInstanceOf(LogMismatch)
        expect(failure).toMatchObject({ field, expected: 'another', found: init()[field] })
      })

      test.each([
        ['group', GROUP_BYTES_MAX],
        ['signature', SIGNATURE_BYTES_MAX],
        ['author', AUTHOR_BYTES_MAX],
      ] as const)('a %s beyond %i bytes is a RangeError', async (field, bytesMax) => {
        for (const text of ['x'.repeat(bytesMax + 1), 'ü'.repeat(bytesMax / 2 + 1), 'a\0b']) {
          await expect(place.reopen().open(init({ [field]: text }))).rejects.toThrow(RangeError)
        }
      })

      test('the longest author appends, and announces as much as it may, for as long as it may', async () => {
        const author = 'ü'.repeat(AUTHOR_BYTES_MAX / 2)
        const other = await open({ author })
        await other.append(commands('a'))
        await other.notices.announce(author, new Uint8Array(log.maxEntryBytes), PRESENCE_TTL_MS_MAX)
        expect((await readAll(log))[0]!.author).toBe(author)
        const [notice] = await log.notices.read()
        expect(notice).toMatchObject({ member: author, ttlMs: PRESENCE_TTL_MS_MAX })
        expect(notice!.data.byteLength).toBe(log.maxEntryBytes)
      })

      test('an aborted signal rejects with its reason', async () => {
        const reason = new Error('too late')
        await expect(place.reopen().open(init({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
      })
    })

    describe('the version', () => {
      const older = ['map/1', 'map/0']
      const refusal = async (overrides: Partial<LogInit>) =>
        (await failureOf(place.reopen().open(init(overrides)))) as Error

      test('is the signature that made the log, for every handle, and no upgrade is noted', async () => {
        const other = await open({ signature: 'map/2', older })
        expect(other).toMatchObject({ signature: 'map/1', upgraded: undefined })
        expect(log).toMatchObject({ signature: 'map/1', upgraded: undefined })
      })

      test('is told to whoever opens the log without a signature, and nothing is made then', async () => {
        const { signature: _, ...whoever } = init()
        const reader = await place.reopen().open({ ...whoever, create: false })
        opened.push(reader)
        expect(reader).toMatchObject({ epoch: log.epoch, signature: 'map/1' })
        await reader.append(commands('a'))
        expect((await readAll(log)).map(text)).toEqual(['a'])
        await expect(place.reopen().open(whoever)).rejects.toThrow(RangeError)
        await expect(place.reopen().open({ ...whoever, create: true })).rejects.toThrow(RangeError)
        const another = { ...whoever, group: 'another', create: false }
        expect(await failureOf(place.reopen().open(another))).toMatchObject({ field: 'group' })
      })

      test('must be one that the program speaks; otherwise the error says what to start', async () => {
        const { message } = await refusal({ signature: 'map/9', older: ['map/8'] })
        expect(message).toContain(
          'with the signature "map/1", and this program speaks "map/9", "map/8": start',
        )
      })

      test('is what was noted last: programs that do not speak it are refused', async () => {
        await log.append(commands(...numbers(1, 5)))
        await log.noteUpgrade('map/2', 3)
        expect(log).toMatchObject({ signature: 'map/1', upgraded: 'map/2' })
        const failure = await refusal({})
        expect(failure).toBeInstanceOf(LogMismatch)
        expect(failure).toMatchObject({ field: 'signature', expected: 'map/1', found: 'map/2' })
        expect(failure.message).toContain(
          'was made for the signature "map/1", its group went over to "map/2"',
        )
        for (const speaks of [{ signature: 'map/2' }, { signature: 'map/3', older: ['map/2'] }]) {
          expect(await open(speaks)).toMatchObject({ signature: 'map/1', upgraded: 'map/2' })
        }
        // A handle that was open already goes on.
        expect(await log.append(commands('6'))).toMatchObject({ first: 6 })
      })

      test('does not go back with a late note, and may go on', async () => {
        const [early, late] = [await open(), await open({ author: 'bob' })]
        await early.append(commands(...numbers(1, 9)))
        await early.noteUpgrade('map/3', 7)
        await late.noteUpgrade('map/2', 5)
        await late.noteUpgrade('map/2', 7)
        expect(await open({ signature: 'map/3' })).toMatchObject({ upgraded: 'map/3' })
        await late.noteUpgrade('map/4', 8)
        expect(await open({ signature: 'map/4' })).toMatchObject({ signature: 'map/1', upgraded: 'map/4' })
      })

      test('is noted once, however often it is told, and by many at once', async () => {
        const handles = [log, await open({ author: 'bob' }), await open({ author: 'carol' })]
        await log.append(commands('1'))
        await log.noteUpgrade('map/1', 0)
        expect(await open()).toMatchObject({ upgraded: 'map/1' })
        await Promise.all(handles.map((handle) => handle.noteUpgrade('map/2', 1)))
        for (const handle of handles) {
          await handle.noteUpgrade('map/2', 9)
          expect(handle.upgraded).toBe('map/2')
        }
        expect(await open({ signature: 'map/2' })).toMatchObject({ signature: 'map/1', upgraded: 'map/2' })
      })

      test('lasts: after a prune and for the next handle', async () => {
        await log.append(commands('1', '2', '3'))
        await log.noteUpgrade('map/2', 2)
        await log.prune(3)
        await log.close()
        const again = await open({ signature: 'map/2' })
        expect(again).toMatchObject({ signature: 'map/1', upgraded: 'map/2' })
        expect((await again.bounds()).first).toBe(4)
      })

      test.each([
        ['', 1],
        ['x'.repeat(SIGNATURE_BYTES_MAX + 1), 1],
        ['map/2', -1],
        ['map/2', 0.5],
      ])('noting %j at %d is a RangeError', async (signature, at) => {
        await expect(log.noteUpgrade(signature, at)).rejects.toThrow(RangeError)
        expect(log.upgraded).toBeUndefined()
      })

      test('a list of older versions that is none is a RangeError', async () => {
        for (const wrong of [['x'.repeat(SIGNATURE_BYTES_MAX + 1)], ['a\0b'], numbers(1, 17), 'map/0']) {
          const overrides = { older: wrong as string[] }
          await expect(place.reopen().open(init(overrides))).rejects.toThrow(RangeError)
        }
      })

      test('an aborted signal notes nothing', async () => {
        const reason = new Error('too late')
        const noting = log.noteUpgrade('map/2', 1, { signal: AbortSignal.abort(reason) })
        await expect(noting).rejects.toBe(reason)
        expect(await open()).toMatchObject({ upgraded: undefined })
      })
    })

    describe('reading', () => {
      test.each([-1, 0.5, Number.NaN, '1' as unknown as number])('after %s is a RangeError', (index) => {
        expect(() => log.read({ index })).toThrow(RangeError)
        expect(() => log.follow({ index })).toThrow(RangeError)
      })

      test('read begins after the cursor and ends with the entry that was the newest', async () => {
        await log.append(commands(...numbers(1, 10)))
        expect((await readAll(log, { index: 7 })).map(text)).toEqual(['8', '9', '10'])
        expect(await readAll(log, { index: 10 })).toEqual([])
      })

      test('read ends, although more is appended while it is consumed', async () => {
        await log.append(commands(...numbers(1, 3000)))
        let last = 0
        for await (const { entries } of log.read({ index: 0 })) {
          await log.append(commands('more'))
          last = entries.at(-1)!.index
        }
        expect(last).toBe(3000)
      })

      test('batches are gapless and bounded, in entries and in bytes', async () => {
        const large = { kind: 'command', payload: new Uint8Array(log.maxEntryBytes) } as const
        await log.append([...commands(...numbers(1, 5000)), ...Array.from({ length: 12 }, () => large)])
        let next = 1
        for await (const { entries, newest } of log.read({ index: 0 })) {
          for (const entry of entries) expect(entry.index).toBe(next++)
          expect(entries.length).toBeLessThan(5000)
          const bytes = entries.reduce((sum, { payload }) => sum + payload.byteLength, 0)
          expect(bytes).toBeLessThan(10 * log.maxEntryBytes)
          expect(newest.index).toBe(5012)
        }
        expect(next).toBe(5013)
      })

      test('follow gives the entries that are there, then those of every append', async () => {
        const other = await open({ author: 'bob' })
        await log.append(commands('1', '2'))
        const follower = new Follower(log, { index: 1 })
        expect((await follower.take(1)).map(text)).toEqual(['2'])
        await log.append(commands('3'))
        await other.append(commands('4', '5'))
        expect((await follower.take(3)).map(text)).toEqual(['3', '4', '5'])
      })

      test('a follower of an empty log waits for its first entry', async () => {
        const follower = new Follower(log)
        const first = follower.next()
        await (await open()).append(commands('1'))
        expect(text((await first)!)).toBe('1')
      })

      test('a follower sees every entry once, in order, while several handles append', async () => {
        const handles = [log, await open({ author: 'bob' }), await open({ author: 'carol' })]
        const follower = new Follower(await open())
        const appends = handles.flatMap((handle, h) =>
          numbers(1, 100).map((n) => handle.append(commands(`${h}:${n}`))),
        )
        const entries = await follower.take(300)
        expect(entries.map(({ index }) => index)).toEqual(numbers(1, 300).map(Number))
        await Promise.all(appends)
        const own = entries.filter(({ author }) => author === 'bob').map(text)
        expect(own).toEqual(numbers(1, 100).map((n) => `1:${n}`))
      })

      test('follow ends by its signal, without an error', async () => {
        const follower = new Follower(log)
        const next = follower.next()
        follower.stop()
        expect(await next).toBeUndefined()
      })

      test('follow ends at once if its signal is aborted already', async () => {
        await log.append(commands('1'))
        for await (const _ of log.follow({ index: 0 }, { signal: AbortSignal.abort() }))
          expect.unreachable('nothing may be read')
      })

      test('a consumer may leave in the middle, and begin again from there', async () => {
        await log.append(commands(...numbers(1, 5000)))
        let cursor: Cursor = { index: 0 }
        for await (const { entries } of log.follow(cursor)) {
          cursor = entries.at(-1)!
          break
        }
        const rest = await readAll(log, cursor)
        expect(rest[0]!.index).toBe(cursor.index + 1)
        expect(rest.at(-1)!.index).toBe(5000)
      })

      test('a reader that reconnects goes on with the entry after its last one', async () => {
        await log.append(commands('1', '2', '3'))
        const [, second] = await readAll(log)
        const { index, id } = second!
        await log.close()
        const again = await open()
        expect((await readAll(again, { index, id })).map(text)).toEqual(['3'])
      })
    })

    describe('pruning', () => {
      beforeEach(() => log.append(commands(...numbers(1, 20))))

      test('makes entries unreadable for every handle', async () => {
        const other = await open()
        await log.prune(5)
        expect((await other.bounds()).first).toBe(6)
        expect((await readAll(other, { index: 5 }))[0]!.index).toBe(6)
      })

      test('again, or less, does nothing', async () => {
        await log.prune(5)
        await log.prune(5)
        await log.prune(2)
        expect((await log.bounds()).first).toBe(6)
      })

      test('beyond the newest entry is a RangeError, and does nothing', async () => {
        await expect(log.prune(21)).rejects.toThrow(RangeError)
        await expect(log.prune(-1)).rejects.toThrow(RangeError)
        expect((await log.bounds()).first).toBe(1)
      })

      test('of everything leaves the indexes and times where they were', async () => {
        const { newest } = await log.bounds()
        await log.prune(20)
        expect(await log.bounds()).toEqual({ epoch: log.epoch, first: 21, newest })
        await log.close()
        const again = await open()
        expect(await again.bounds()).toEqual({ epoch: again.epoch, first: 21, newest })
        expect(await again.append(commands('21'))).toMatchObject({ first: 21, last: 21 })
        expect((await again.bounds()).newest.timestampMs).toBeGreaterThanOrEqual(newest.timestampMs)
      })

      test('is LogTruncated to a reader that begins too early', async () => {
        await log.prune(10)
        for (const failure of [
          await failureOf(readAll(log, { index: 9 })),
          await new Follower(log, { index: 9 }).failure(),
        ]) {
          expect(failure).toBeInstanceOf(LogTruncated)
          expect(failure).toMatchObject({ wanted: 10, first: 11 })
        }
        expect((await readAll(log, { index: 10 })).length).toBe(10)
      })

      test('is LogTruncated to a follower whose next entry it took, in the middle', async () => {
        // More than any backend reads ahead.
        const payload = new Uint8Array(log.maxEntryBytes)
        for (let n = 0; n < 20; n++) {
          await log.append(Array.from({ length: 20 }, () => ({ kind: 'command', payload })))
        }
        const follower = new Follower(log)
        expect((await follower.next())!.index).toBe(1)
        await log.prune(420)
        expect(await follower.failure()).toBeInstanceOf(LogTruncated)
      })

      test('is LogTruncated to a reader that reconnects with too old a cursor', async () => {
        const { index, id } = (await readAll(log))[4]!
        await log.close()
        await (await open()).prune(10)
        await expect(readAll(await open(), { index, id })).rejects.toMatchObject({ wanted: 6, first: 11 })
      })

      test('goes unnoticed by a follower that has read everything', async () => {
        const follower = new Follower(log)
        const { index, id } = (await follower.take(20)).at(-1)!
        const next = follower.next()
        await log.prune(20)
        const late = new Follower(log, { index, id }).next()
        await log.append(commands('21'))
        expect(text((await next)!)).toBe('21')
        expect(text((await late)!)).toBe('21')
      })
    })

    describe('the presence store', () => {
      const bytes = (text: string) => new TextEncoder().encode(text)
      const shown = (notices: readonly Presence[]) =>
        Object.fromEntries(notices.map(({ member, data }) => [member, new TextDecoder().decode(data)]))

      test('shows every handle the newest presence of each member', async () => {
        const other = await open({ author: 'bob' })
        await log.notices.announce('alice', bytes('old'), 60_000)
        await other.notices.announce('bob', bytes('here'), 60_000)
        await log.notices.announce('alice', bytes('new'), 30_000)
        const notices = await other.notices.read()
        expect(shown(notices)).toEqual({ alice: 'new', bob: 'here' })
        const alice = notices.find(({ member }) => member === 'alice')!
        expect(alice.ttlMs).toBe(30_000)
        expect(alice.ageMs).toBeGreaterThanOrEqual(0)
        expect(alice.ageMs).toBeLessThan(30_000)
      })

      test('withdraws a presence, even one that is not there', async () => {
        await log.notices.announce('alice', bytes('x'), 60_000)
        await log.notices.withdraw('nobody')
        await log.notices.withdraw('alice')
        expect(await log.notices.read()).toEqual([])
      })

      test('gives each announcement of a member another version, even with the same data', async () => {
        const versions: number[] = []
        for (let n = 0; n < 50; n++) {
          await log.notices.announce('alice', bytes('x'), 60_000)
          versions.push((await log.notices.read())[0]!.version)
        }
        expect(new Set(versions).size).toBe(50)
      })

      test('gives the age of a presence to a handle that sees it for the first time', async () => {
        await log.notices.announce('alice', bytes('x'), 0)
        await log.notices.announce('bob', bytes('y'), 60_000)
        const notices = await (await open({ author: 'carol' })).notices.read()
        expect(shown(new Sightings().look(notices, performance.now()).filter(isFresh))).toEqual({ bob: 'y' })
      })

      test('refuses a presence beyond the limit, and a TTL out of bounds', async () => {
        const tooLarge = new Uint8Array(log.maxEntryBytes + 1)
        await expect(log.notices.announce('alice', tooLarge, 1000)).rejects.toThrow(EntryTooLarge)
        await expect(log.notices.announce('alice', bytes('x'), -1)).rejects.toThrow(RangeError)
        await expect(log.notices.announce('alice', bytes('x'), Number.NaN)).rejects.toThrow(RangeError)
        const tooLong = PRESENCE_TTL_MS_MAX + 1
        await expect(log.notices.announce('alice', bytes('x'), tooLong)).rejects.toThrow(RangeError)
        const tooLongName = 'x'.repeat(AUTHOR_BYTES_MAX + 1)
        await expect(log.notices.announce(tooLongName, bytes('x'), 1000)).rejects.toThrow(RangeError)
        expect(await log.notices.read()).toEqual([])
      })

      test('watch shows the presences now, and again after each change by any handle', async () => {
        const other = await open({ author: 'bob' })
        await other.notices.announce('bob', bytes('1'), 60_000)
        const stop = new AbortController()
        const boards = log.notices.watch({ signal: stop.signal })[Symbol.asyncIterator]()
        const next = async () => {
          const { value, done } = await boards.next()
          return done ? 'ended' : shown(value)
        }
        expect(await next()).toEqual({ bob: '1' })
        await log.notices.announce('alice', bytes('1'), 60_000)
        expect(await next()).toEqual({ alice: '1', bob: '1' })
        await other.notices.announce('bob', bytes('2'), 60_000)
        expect(await next()).toEqual({ alice: '1', bob: '2' })
        await other.notices.withdraw('bob')
        expect(await next()).toEqual({ alice: '1' })
        const end = next()
        stop.abort()
        expect(await end).toBe('ended')
      })

      test('can be read while all members announce again and again', async () => {
        const members = ['alice', 'bob', 'carol', 'dave']
        const handles = await Promise.all(members.map((author) => open({ author })))
        const done = new AbortController()
        const announcing = handles.map(async (handle, m) => {
          while (!done.signal.aborted) await handle.notices.announce(members[m]!, bytes('x'), 60_000)
        })
        try {
          for (let n = 0; n < 50; n++) await log.notices.read({ signal: AbortSignal.timeout(10_000) })
        } finally {
          done.abort()
          await Promise.all(announcing)
        }
        expect(Object.keys(shown(await log.notices.read())).sort()).toEqual(members)
      })

      test('entries do not wake a watcher', async () => {
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        expect((await boards.next()).value).toEqual([])
        const next = boards.next()
        const follower = new Follower(log)
        await log.append(commands('1', '2'))
        await follower.take(2)
        await log.notices.announce('alice', bytes('1'), 60_000)
        expect(shown((await next).value)).toEqual({ alice: '1' })
      })

      test('watch fails with EpochChanged when the log is made again', async () => {
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        await boards.next()
        const failure = failureOf(boards.next())
        await place.recreate()
        expect(await failure).toBeInstanceOf(EpochChanged)
      })
    })

    describe('closing', () => {
      test('ends every iteration without an error, and refuses further calls', async () => {
        const follower = new Follower(log)
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        await boards.next()
        const ends = [follower.next(), boards.next()]
        await log.close()
        expect(await ends[0]).toBeUndefined()
        expect(await ends[1]).toMatchObject({ done: true })
        const calls = [
          log.bounds(),
          log.append(commands('x')),
          log.prune(0),
          log.noteUpgrade('map/2', 1),
          readAll(log),
          log.notices.read(),
          log.notices.withdraw('alice'),
        ]
        for (const failure of await Promise.all(calls.map(failureOf)))
          expect(failure).toBeInstanceOf(LogClosed)
      })

      test('settles pending appends first, and may be done twice', async () => {
        const appends = numbers(1, 50).map((n) => log.append(commands(n)))
        await Promise.all([log.close(), log.close()])
        const results = await Promise.all(appends)
        expect(results.at(-1)).toMatchObject({ first: 50, last: 50 })
        expect((await readAll(await open())).length).toBe(50)
      })
    })
  })
}
