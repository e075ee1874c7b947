import assert from 'node:assert/strict'
import { SIGNATURE_BYTES_MAX } from '../../../bounds.ts'
import { LogMismatch } from '../../../log/errors.ts'
import type { Chapter, Check } from '../chapter.ts'
import { failsWith, failsWithReason, failureOf, hasFields, isError } from '../claims.ts'
import { commands, logInit, numbers, text } from '../entries.ts'
import { readAll } from '../follower.ts'
import type { Scene } from '../scene.ts'

const SPEAKS =
  'who opens a log speaks its version, log.upgraded or else log.signature: otherwise LogMismatch (LogBackend.open)'
const NOTE =
  'a version that is noted already, or a note from further back than the newest, changes nothing (Log.noteUpgrade)'

const refusals = (
  [
    ['', 1],
    ['x'.repeat(SIGNATURE_BYTES_MAX + 1), 1],
    ['map/2', -1],
    ['map/2', 0.5],
  ] as const
).map(
  ([signature, at]): Check => ({
    title: `noting ${JSON.stringify(signature.slice(0, 10))}, of ${signature.length} letters, at ${at} is a RangeError`,
    promise: 'RangeError for what is no signature or no index (Log.noteUpgrade)',
    async run({ log }) {
      await failsWith(log.noteUpgrade(signature, at), RangeError)
      assert.equal(log.upgraded, undefined)
    },
  }),
)

export const versions: Chapter = {
  group: 'the version',
  checks: [
    {
      title: 'is the signature that made the log, for every handle, and no upgrade is noted',
      promise:
        'the signature is that of the machine that the log was made for; it never changes (Log.signature)',
      async run({ log, open }) {
        const other = await open({ signature: 'map/2', older: ['map/1', 'map/0'] })
        hasFields(other, { signature: 'map/1', upgraded: undefined })
        hasFields(log, { signature: 'map/1', upgraded: undefined })
      },
    },
    {
      title: 'is told to whoever opens the log without a signature, and nothing is made then',
      promise:
        'without a signature an existing log is opened whatever its machine; create must then be false (LogInit.signature)',
      async run({ log, openFor }) {
        const { signature: _, ...whoever } = logInit()
        const reader = await openFor({ ...whoever, create: false })
        hasFields(reader, { epoch: log.epoch, signature: 'map/1' })
        await reader.append(commands('a'))
        assert.deepEqual((await readAll(log)).map(text), ['a'])
        await failsWith(openFor(whoever), RangeError)
        await failsWith(openFor({ ...whoever, create: true }), RangeError)
        const another = { ...whoever, group: 'another', create: false }
        await failsWith(openFor(another), LogMismatch, { field: 'group' })
      },
    },
    {
      title: 'must be one that the program speaks; otherwise the error says what to start',
      promise: SPEAKS,
      async run({ open }) {
        const error = await failureOf(open({ signature: 'map/9', older: ['map/8'] }))
        isError(error, LogMismatch, { field: 'signature', expected: 'map/9', found: 'map/1' })
        says(error, 'with the signature "map/1", and this program speaks "map/9", "map/8": start')
      },
    },
    {
      title: 'is what was noted last: programs that do not speak it are refused',
      promise: SPEAKS,
      run: refusesOld,
    },
    {
      title: 'does not go back with a late note, and may go on',
      promise: NOTE,
      async run({ open }) {
        const [early, late] = [await open(), await open({ author: 'bob' })]
        await early.append(commands(...numbers(1, 9)))
        await early.noteUpgrade('map/3', 7)
        await late.noteUpgrade('map/2', 5)
        await late.noteUpgrade('map/2', 7)
        hasFields(await open({ signature: 'map/3' }), { upgraded: 'map/3' })
        await late.noteUpgrade('map/4', 8)
        hasFields(await open({ signature: 'map/4' }), { signature: 'map/1', upgraded: 'map/4' })
      },
    },
    {
      title: 'is noted once, however often it is told, and by many at once',
      promise: NOTE,
      async run({ log, open }) {
        const handles = [log, await open({ author: 'bob' }), await open({ author: 'carol' })]
        await log.append(commands('1'))
        await log.noteUpgrade('map/1', 0)
        hasFields(await open(), { upgraded: 'map/1' })
        await Promise.all(handles.map((handle) => handle.noteUpgrade('map/2', 1)))
        for (const handle of handles) {
          await handle.noteUpgrade('map/2', 9)
          assert.equal(handle.upgraded, 'map/2')
        }
        hasFields(await open({ signature: 'map/2' }), { signature: 'map/1', upgraded: 'map/2' })
      },
    },
    {
      title: 'lasts: after a prune and for the next handle',
      promise: 'a handle knows what was noted when it was opened (Log.upgraded)',
      needs: ['prune'],
      async run({ log, open }) {
        await log.append(commands('1', '2', '3'))
        await log.noteUpgrade('map/2', 2)
        await log.prune(3)
        await log.close()
        const again = await open({ signature: 'map/2' })
        hasFields(again, { signature: 'map/1', upgraded: 'map/2' })
        assert.equal((await again.bounds()).first, 4)
      },
    },
    ...refusals,
    {
      title: 'a list of older versions that is none is a RangeError',
      promise: 'older versions are at most 16 signatures (LogInit.older)',
      async run({ open }) {
        for (const wrong of [['x'.repeat(SIGNATURE_BYTES_MAX + 1)], ['a\0b'], numbers(1, 17), 'map/0'])
          await failsWith(open({ older: wrong as string[] }), RangeError)
      },
    },
    {
      title: 'an aborted signal notes nothing',
      promise: 'an aborted signal rejects with its reason, and nothing was written (Log.noteUpgrade)',
      async run({ log, open }) {
        const reason = new Error('too late')
        await failsWithReason(log.noteUpgrade('map/2', 1, { signal: AbortSignal.abort(reason) }), reason)
        hasFields(await open(), { upgraded: undefined })
      },
    },
  ],
}

async function refusesOld({ log, open, append }: Scene): Promise<void> {
  await append(...numbers(1, 5))
  await log.noteUpgrade('map/2', 3)
  hasFields(log, { signature: 'map/1', upgraded: 'map/2' })
  const error = await failureOf(open())
  isError(error, LogMismatch, { field: 'signature', expected: 'map/1', found: 'map/2' })
  says(error, 'was made for the signature "map/1", its group went over to "map/2"')
  for (const speaks of [{ signature: 'map/2' }, { signature: 'map/3', older: ['map/2'] }])
    hasFields(await open(speaks), { signature: 'map/1', upgraded: 'map/2' })
  // A handle that was open already goes on.
  hasFields(await log.append(commands('6')), { first: 6 })
}

function says(error: unknown, words: string): void {
  const { message } = error as Error
  assert(message.includes(words), `its message should say ${JSON.stringify(words)}: ${message}`)
}
