import assert from 'node:assert/strict'
import { EpochChanged, LogRewound } from '../../../log/errors.ts'
import type { Chapter } from '../chapter.ts'
import { failsWith, failureOf, hasFields, isError } from '../claims.ts'
import { commands, numbers, text } from '../entries.ts'
import { Follower, readAll } from '../follower.ts'
import type { Scene } from '../scene.ts'

const EPOCH = 'once the log is another one, every call rejects with EpochChanged (Log.epoch)'
const REWOUND =
  "a log that ends before the cursor, or holds another entry there than the cursor's id, is LogRewound (Log.follow)"

/** A log of 10 entries, and how to put it back to the state in which entry 6 was its newest. */
async function saved({ log, append, save }: Scene): Promise<() => Promise<void>> {
  await append(...numbers(1, 6))
  const rewind = await save()
  await log.append(commands(...numbers(7, 10)))
  return rewind
}

export const accidents: Chapter = {
  group: 'accidents',
  checks: [
    {
      title: 'a log made again is EpochChanged to every call',
      promise: EPOCH,
      needs: ['recreate'],
      async run({ log, open, append, recreate }) {
        await append(...numbers(1, 10))
        const { epoch } = log
        await recreate()
        const other = await open()
        assert.notEqual(other.epoch, epoch, 'the log was made again, and has the epoch of the old one')
        const calls = [
          log.bounds(),
          log.append(commands('x')),
          ...(log.prunes === false ? [] : [log.prune(1)]),
          readAll(log),
          new Follower(log, { index: 10 }).next(),
          log.notices.read(),
          log.notices.announce('alice', new Uint8Array(1), 1000),
        ]
        for (const failure of await Promise.all(calls.map(failureOf)))
          isError(failure, EpochChanged, { expected: epoch, found: other.epoch })
        assert.equal((await other.bounds()).newest.index, 0)
      },
    },
    {
      title: 'a log made again is EpochChanged to a reader that waits for its next entry',
      promise: EPOCH,
      needs: ['recreate'],
      async run({ log, append, recreate }) {
        await append(...numbers(1, 10))
        const follower = new Follower(log)
        await follower.take(10)
        const failure = follower.failure()
        await recreate()
        isError(await failure, EpochChanged)
      },
    },
    {
      title: 'a log put back is LogRewound to a reader that read further',
      promise: REWOUND,
      needs: ['save'],
      async run(scene) {
        const { log } = scene
        const rewind = await saved(scene)
        const { index, id } = (await readAll(log)).at(-1)!
        await rewind()
        const calls = [
          readAll(log, { index, id }),
          readAll(log, { index }),
          new Follower(log, { index }).next(),
        ]
        for (const failure of await Promise.all(calls.map(failureOf)))
          isError(failure, LogRewound, { index: 10, newest: 6 })
      },
    },
    {
      title: 'a log put back is LogRewound to a reader that waits for its next entry',
      promise: REWOUND,
      needs: ['save'],
      async run(scene) {
        const rewind = await saved(scene)
        const follower = new Follower(scene.log)
        await follower.take(10)
        const failure = follower.failure()
        await rewind()
        isError(await failure, LogRewound)
      },
    },
    {
      title: 'a log put back and written again is LogRewound to a reader that has the other entry',
      promise: REWOUND,
      needs: ['save'],
      async run(scene) {
        const { log } = scene
        const rewind = await saved(scene)
        const before = await readAll(log)
        await rewind()
        const other = await scene.open({ author: 'bob' })
        hasFields(await other.append(commands(...numbers(7, 20))), { first: 7, last: 20 })
        const { index, id } = before.at(-1)!
        await failsWith(readAll(other, { index, id }), LogRewound)
        await failsWith(readAll(log, { index, id }), LogRewound)
        // An entry is a cursor, too.
        await failsWith(readAll(log, before.at(-1)), LogRewound)
        const common = before[5]!
        assert.equal((await readAll(log, { index: 6, id: common.id })).length, 14)
      },
    },
    {
      title: 'a log made again or put back knows nothing of later versions',
      promise: 'a note of an upgrade is of this log as it is: nothing else may rest on it (Log.noteUpgrade)',
      needs: ['recreate', 'save'],
      async run(scene) {
        const { log, open } = scene
        const rewind = await saved(scene)
        await log.noteUpgrade('map/2', 8)
        await rewind()
        hasFields(await open(), { signature: 'map/1', upgraded: undefined })
        await (await open()).noteUpgrade('map/2', 6)
        await scene.recreate()
        hasFields(await open(), { signature: 'map/1', upgraded: undefined })
        await failsWith(log.noteUpgrade('map/2', 6), EpochChanged)
      },
    },
    {
      title: 'a log put back goes unnoticed by a reader that had not read so far, and takes appends',
      promise:
        'only a log that ends before the cursor, or has another entry there, is LogRewound (Log.follow)',
      needs: ['save'],
      async run(scene) {
        const { log } = scene
        const rewind = await saved(scene)
        const follower = new Follower(log, { index: 3 })
        await rewind()
        hasFields(await log.append(commands('seventh')), { first: 7, last: 7 })
        assert.deepEqual((await follower.take(4)).map(text), ['4', '5', '6', 'seventh'])
      },
    },
  ],
}
