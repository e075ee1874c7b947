import assert from 'node:assert/strict'
import { AUTHOR_BYTES_MAX } from '../../../bounds.ts'
import { EntryTooLarge, EpochChanged } from '../../../log/errors.ts'
import { PRESENCE_TTL_MS_MAX } from '../../../log/limits.ts'
import { isFresh, type Presence, Sightings } from '../../../log/presence.ts'
import type { Chapter } from '../chapter.ts'
import { failsWith, failureOf, hasFields, isError } from '../claims.ts'
import { Follower } from '../follower.ts'
import type { Scene } from '../scene.ts'

const WATCH = 'the presences now, and again after each announcement or withdrawal (PresenceStore.watch)'

export const presences: Chapter = {
  group: 'the presence store',
  checks: [
    {
      title: 'shows every handle the newest presence of each member',
      promise: 'each member has one presence; a newer one replaces it (PresenceStore)',
      async run({ log, open }) {
        const other = await open({ author: 'bob' })
        await log.notices.announce('alice', bytes('old'), 60_000)
        await other.notices.announce('bob', bytes('here'), 60_000)
        await log.notices.announce('alice', bytes('new'), 30_000)
        const notices = await other.notices.read()
        assert.deepEqual(shown(notices), { alice: 'new', bob: 'here' })
        const { ttlMs, ageMs } = notices.find(({ member }) => member === 'alice')!
        assert.equal(ttlMs, 30_000)
        assert(
          ageMs >= 0 && ageMs < 30_000,
          `alice announced just now, and her presence's age is ${ageMs} ms`,
        )
      },
    },
    {
      title: 'withdraws a presence, even one that is not there',
      promise: 'if there is none, nothing happens (PresenceStore.withdraw)',
      async run({ log }) {
        await log.notices.announce('alice', bytes('x'), 60_000)
        await log.notices.withdraw('nobody')
        await log.notices.withdraw('alice')
        assert.deepEqual(shown(await log.notices.read()), {})
      },
    },
    {
      title: 'gives each announcement of a member another version, even with the same data',
      promise: 'the version changes with each announcement, even if the data are the same (Presence.version)',
      async run({ log }) {
        const versions = new Set<number>()
        for (let n = 0; n < 50; n++) {
          await log.notices.announce('alice', bytes('x'), 60_000)
          versions.add((await log.notices.read())[0]!.version)
        }
        assert.equal(versions.size, 50)
      },
    },
    {
      title: 'gives the age of a presence to a handle that sees it for the first time',
      promise: "the age is by the backend's clock, for whoever reads (Presence.ageMs)",
      async run({ log, open }) {
        await log.notices.announce('alice', bytes('x'), 0)
        await log.notices.announce('bob', bytes('y'), 60_000)
        const notices = await (await open({ author: 'carol' })).notices.read()
        const fresh = new Sightings().look(notices, performance.now()).filter(isFresh)
        assert.deepEqual(shown(fresh), { bob: 'y' })
      },
    },
    {
      title: 'refuses a presence beyond the limit, and a TTL out of bounds',
      promise: `EntryTooLarge beyond maxEntryBytes, RangeError for a TTL beyond ${PRESENCE_TTL_MS_MAX} ms or a name beyond ${AUTHOR_BYTES_MAX} bytes; nothing was written`,
      async run({ log: { notices, maxEntryBytes } }) {
        const tooLarge = new Uint8Array(maxEntryBytes + 1)
        await failsWith(notices.announce('alice', tooLarge, 1000), EntryTooLarge)
        await failsWith(notices.announce('alice', bytes('x'), -1), RangeError)
        await failsWith(notices.announce('alice', bytes('x'), Number.NaN), RangeError)
        await failsWith(notices.announce('alice', bytes('x'), PRESENCE_TTL_MS_MAX + 1), RangeError)
        const tooLongName = 'x'.repeat(AUTHOR_BYTES_MAX + 1)
        await failsWith(notices.announce(tooLongName, bytes('x'), 1000), RangeError)
        assert.deepEqual(shown(await notices.read()), {})
      },
    },
    {
      title: 'watch shows the presences now, and again after each change by any handle',
      promise: WATCH,
      run: watches,
    },
    {
      title: 'can be read while all members announce again and again',
      promise: 'reading ends: it does not wait for a moment without changes (PresenceStore.read)',
      run: readsAmongChanges,
    },
    {
      title: 'entries do not wake a watcher',
      promise: `${WATCH}: an entry of the log is neither`,
      async run({ log, append }) {
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        assert.deepEqual((await boards.next()).value, [])
        const next = boards.next()
        const follower = new Follower(log)
        await append('1', '2')
        await follower.take(2)
        await log.notices.announce('alice', bytes('1'), 60_000)
        assert.deepEqual(shown((await next).value), { alice: '1' })
      },
    },
    {
      title: 'watch fails with EpochChanged when the log is made again',
      promise: 'once the log is another one, every call rejects with EpochChanged (Log.epoch)',
      needs: ['recreate'],
      async run({ log, recreate }) {
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        await boards.next()
        const failure = failureOf(boards.next())
        await recreate()
        isError(await failure, EpochChanged)
      },
    },
  ],
}

async function watches({ log, open }: Scene): Promise<void> {
  const other = await open({ author: 'bob' })
  await other.notices.announce('bob', bytes('1'), 60_000)
  const stop = new AbortController()
  const boards = log.notices.watch({ signal: stop.signal })[Symbol.asyncIterator]()
  const next = async () => shown((await boards.next()).value)
  assert.deepEqual(await next(), { bob: '1' })
  await log.notices.announce('alice', bytes('1'), 60_000)
  assert.deepEqual(await next(), { alice: '1', bob: '1' })
  await other.notices.announce('bob', bytes('2'), 60_000)
  assert.deepEqual(await next(), { alice: '1', bob: '2' })
  await other.notices.withdraw('bob')
  assert.deepEqual(await next(), { alice: '1' })
  const end = boards.next()
  stop.abort()
  hasFields(await end, { done: true })
}

async function readsAmongChanges({ log, open }: Scene): Promise<void> {
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
  assert.deepEqual(Object.keys(shown(await log.notices.read())).sort(), members)
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** What each member announced. */
function shown(notices: readonly Presence[] | undefined): Record<string, string> {
  assert(notices, 'watch ended')
  return Object.fromEntries(notices.map(({ member, data }) => [member, new TextDecoder().decode(data)]))
}
