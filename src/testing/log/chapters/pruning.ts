import assert from 'node:assert/strict'
import { LogTruncated } from '../../../log/errors.ts'
import type { NewEntry } from '../../../log/log.ts'
import type { Chapter } from '../chapter.ts'
import { failsWith, failureOf, hasFields, isError } from '../claims.ts'
import { commands, numbers, text } from '../entries.ts'
import { Follower, readAll } from '../follower.ts'
import type { Scene } from '../scene.ts'

const PRUNE = 'entries up to and including the given one become unreadable, and no others (Log.prune)'
const TRUNCATED = 'LogTruncated if the next entry has been pruned, at the start or later (Log.follow)'

export const pruning: Chapter = {
  group: 'pruning',
  needs: ['prune'],
  before: ({ append }) => append(...numbers(1, 20)),
  checks: [
    {
      title: 'makes entries unreadable for every handle',
      promise: PRUNE,
      async run({ log, open }) {
        const other = await open()
        await log.prune(5)
        assert.equal((await other.bounds()).first, 6)
        assert.equal((await readAll(other, { index: 5 }))[0]!.index, 6)
      },
    },
    {
      title: 'again, or less, does nothing',
      promise: 'if they are pruned already, nothing happens (Log.prune)',
      async run({ log }) {
        await log.prune(5)
        await log.prune(5)
        await log.prune(2)
        assert.equal((await log.bounds()).first, 6)
      },
    },
    {
      title: 'beyond the newest entry is a RangeError, and does nothing',
      promise: 'RangeError if upTo is beyond the newest entry (Log.prune)',
      async run({ log }) {
        await failsWith(log.prune(21), RangeError)
        await failsWith(log.prune(-1), RangeError)
        assert.equal((await log.bounds()).first, 1)
      },
    },
    {
      title: 'of everything leaves the indexes and times where they were',
      promise: 'indexes go on without a gap; first is newest.index + 1 if no entry can be read (LogBounds)',
      async run({ log, open }) {
        const { newest } = await log.bounds()
        await log.prune(20)
        hasFields(await log.bounds(), { epoch: log.epoch, first: 21, newest: { ...newest } })
        await log.close()
        const again = await open()
        hasFields(await again.bounds(), { epoch: again.epoch, first: 21, newest: { ...newest } })
        hasFields(await again.append(commands('21')), { first: 21, last: 21 })
        const { timestampMs } = (await again.bounds()).newest
        assert(timestampMs >= newest.timestampMs, `${timestampMs} is before ${newest.timestampMs}`)
      },
    },
    {
      title: 'is LogTruncated to a reader that begins too early',
      promise: TRUNCATED,
      async run({ log }) {
        await log.prune(10)
        for (const failure of [
          await failureOf(readAll(log, { index: 9 })),
          await new Follower(log, { index: 9 }).failure(),
        ])
          isError(failure, LogTruncated, { wanted: 10, first: 11 })
        assert.equal((await readAll(log, { index: 10 })).length, 10)
      },
    },
    {
      title: 'is LogTruncated to a follower whose next entry it took, in the middle',
      promise: TRUNCATED,
      run: truncatedMidway,
    },
    {
      title: 'is LogTruncated to a reader that reconnects with too old a cursor',
      promise: TRUNCATED,
      async run({ log, open }) {
        const { index, id } = (await readAll(log))[4]!
        await log.close()
        await (await open()).prune(10)
        await failsWith(readAll(await open(), { index, id }), LogTruncated, { wanted: 6, first: 11 })
      },
    },
    {
      title: 'goes unnoticed by a follower that has read everything',
      promise: 'only a reader whose next entry was pruned gets LogTruncated (Log.follow)',
      async run({ log }) {
        const follower = new Follower(log)
        const { index, id } = (await follower.take(20)).at(-1)!
        const next = follower.take(1)
        await log.prune(20)
        const late = new Follower(log, { index, id }).take(1)
        await log.append(commands('21'))
        assert.deepEqual((await next).map(text), ['21'])
        assert.deepEqual((await late).map(text), ['21'])
      },
    },
  ],
}

async function truncatedMidway({ log }: Scene): Promise<void> {
  // 40 MB: more than a backend should read ahead.
  const payload = new Uint8Array(log.maxEntryBytes)
  const twenty = Array.from({ length: 20 }, (): NewEntry => ({ kind: 'command', payload }))
  for (let n = 0; n < 20; n++) await log.append(twenty)
  const follower = new Follower(log)
  assert.equal((await follower.next())!.index, 1)
  await log.prune(420)
  const rest = await follower.take(419).catch((error: unknown) => error)
  if (Array.isArray(rest)) assert.fail('all 420 entries came, of 40 MB: it reads too far ahead to notice')
  isError(rest, LogTruncated)
}
