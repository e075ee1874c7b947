import assert from 'node:assert/strict'
import { LogClosed } from '../../../log/errors.ts'
import type { Chapter } from '../chapter.ts'
import { failureOf, hasFields, isError } from '../claims.ts'
import { commands, numbers } from '../entries.ts'
import { Follower, readAll } from '../follower.ts'

const CLOSE =
  'close ends every iteration and settles pending appends first; it may be called twice (Log.close)'

export const closing: Chapter = {
  group: 'closing',
  checks: [
    {
      title: 'ends every iteration without an error, and refuses further calls',
      promise: `${CLOSE}; then every call rejects with LogClosed`,
      async run({ log }) {
        const follower = new Follower(log)
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        await boards.next()
        const [entry, board] = [follower.next(), boards.next()]
        await log.close()
        assert.equal(await entry, undefined)
        hasFields(await board, { done: true })
        const calls = [
          log.bounds(),
          log.append(commands('x')),
          ...(log.prunes === false ? [] : [log.prune(0)]),
          log.noteUpgrade('map/2', 1),
          readAll(log),
          log.notices.read(),
          log.notices.withdraw('alice'),
        ]
        for (const failure of await Promise.all(calls.map(failureOf))) isError(failure, LogClosed)
      },
    },
    {
      title: 'settles pending appends first, and may be done twice',
      promise: CLOSE,
      async run({ log, open }) {
        const appends = numbers(1, 50).map((n) => log.append(commands(n)))
        await Promise.all([log.close(), log.close()])
        const results = await Promise.all(appends)
        hasFields(results.at(-1), { first: 50, last: 50 })
        assert.equal((await readAll(await open())).length, 50)
      },
    },
  ],
}
