import assert from 'node:assert/strict'
import { AUTHOR_BYTES_MAX, GROUP_BYTES_MAX, SIGNATURE_BYTES_MAX } from '../../../bounds.ts'
import { LogMismatch } from '../../../log/errors.ts'
import { PRESENCE_TTL_MS_MAX } from '../../../log/limits.ts'
import type { Chapter, Check } from '../chapter.ts'
import { failsWith, failsWithReason, hasFields } from '../claims.ts'
import { commands, logInit, text } from '../entries.ts'
import { readAll } from '../follower.ts'

const LONGEST = [
  ['group', GROUP_BYTES_MAX],
  ['signature', SIGNATURE_BYTES_MAX],
  ['author', AUTHOR_BYTES_MAX],
] as const

const mismatches = (['group', 'signature'] as const).map(
  (field): Check => ({
    title: `another ${field} is a LogMismatch`,
    promise: `a log of another ${field} rejects with LogMismatch (LogBackend.open)`,
    async run({ open }) {
      const another = open({ [field]: 'another' })
      await failsWith(another, LogMismatch, { field, expected: 'another', found: logInit()[field] })
    },
  }),
)

const limits = LONGEST.map(
  ([field, bytesMax]): Check => ({
    title: `${field === 'author' ? 'an' : 'a'} ${field} beyond ${bytesMax} bytes is a RangeError`,
    promise: `a ${field} has at most ${bytesMax} bytes and no control characters (LogInit)`,
    async run({ open }) {
      for (const wrong of ['x'.repeat(bytesMax + 1), 'ü'.repeat(bytesMax / 2 + 1), 'a\0b'])
        await failsWith(open({ [field]: wrong }), RangeError)
    },
  }),
)

export const opening: Chapter = {
  group: 'opening',
  checks: [
    {
      title: 'every handle sees one log, of one epoch',
      promise: 'a log that is there is opened, not made (LogBackend.open)',
      async run({ log, open, append }) {
        await append('a')
        const other = await open({ author: 'bob' })
        assert.equal(other.epoch, log.epoch)
        assert.deepEqual((await readAll(other)).map(text), ['a'])
      },
    },
    ...mismatches,
    ...limits,
    {
      title: 'the longest author appends, and announces as much as it may, for as long as it may',
      promise: `an author of ${AUTHOR_BYTES_MAX} bytes, a presence of maxEntryBytes and a TTL of ${PRESENCE_TTL_MS_MAX} ms are taken`,
      async run({ log, open, authorOf }) {
        const author = 'ü'.repeat(AUTHOR_BYTES_MAX / 2)
        const other = await open({ author })
        await other.append(commands('a'))
        await other.notices.announce(author, new Uint8Array(log.maxEntryBytes), PRESENCE_TTL_MS_MAX)
        assert.equal((await readAll(log))[0]!.author, authorOf(author))
        const [notice] = await log.notices.read()
        hasFields(notice, { member: author, ttlMs: PRESENCE_TTL_MS_MAX })
        assert.equal(notice!.data.byteLength, log.maxEntryBytes)
      },
    },
    {
      title: 'an aborted signal rejects with its reason',
      promise: 'an aborted signal rejects with its reason (LogInit.signal)',
      async run({ open }) {
        const reason = new Error('too late')
        await failsWithReason(open({ signal: AbortSignal.abort(reason) }), reason)
      },
    },
  ],
}
