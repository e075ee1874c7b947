import { beforeEach, describe, expect, test } from 'vitest'
import { type Announcement, encodeAnnouncement } from '../../src/group/announcement.ts'
import { Membership } from '../../src/group/membership.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const TTL_MS = 100
const ANNOUNCEMENT: Announcement = {
  epoch: 'e',
  addresses: [],
  state: 'in-sync',
  applied: 5,
  leads: 0,
  offers: [],
  needs: 0,
  checkpoint: 0,
}

/** The backend's clock, and this process's: they need not agree. */
let backendMs: number
let clock: VirtualClock
let log: Log
let changes: number
let membership: Membership

beforeEach(async () => {
  backendMs = 1_000_000
  clock = new VirtualClock()
  log = await memoryLog({ now: () => backendMs, epoch: 'e' }).open({
    group: 'g',
    signature: 's',
    author: 'a',
  })
  changes = 0
  membership = new Membership({ log, clock, epoch: 'e' })
  membership.listen({
    membersChanged: () => {
      changes++
    },
  })
})

const announce = (id: string, fields: Partial<Announcement> = {}) =>
  log.notices.announce(id, encodeAnnouncement({ ...ANNOUNCEMENT, ...fields }), TTL_MS)
const ids = () => membership.list().map(({ id }) => id)

test('all that announced themselves are members, in the order of their ids', async () => {
  await announce('b')
  await announce('a', { applied: 7 })
  await membership.refresh()
  expect(ids()).toEqual(['a', 'b'])
  expect(membership.get('a')).toMatchObject({ applied: 7 })
  expect(membership.get('c')).toBeUndefined()
})

test("an announcement's age is judged by the board's clock", async () => {
  await announce('a')
  backendMs += 60
  clock.advance(5000)
  await membership.refresh()
  expect(membership.get('a')).toMatchObject({ announcedAtMs: 4940, untilMs: 5040 })
})

const YEAR_MS = 365 * 24 * 3_600_000

test.each([-50 * YEAR_MS, -600_000, -1_000, 1_000, 600_000, 50 * YEAR_MS])(
  "a step of %i ms of the board's clock neither keeps the dead nor takes the living away",
  async (stepMs) => {
    await announce('dead')
    await announce('living')
    await membership.refresh()
    backendMs += stepMs
    await membership.refresh()
    expect(ids()).toEqual(['dead', 'living'])
    for (let n = 1; n <= 9; n++) {
      clock.advance(TTL_MS / 9)
      backendMs += TTL_MS / 9
      await announce('living')
      await membership.refresh()
      expect(ids()).toEqual(n < 9 ? ['dead', 'living'] : ['living'])
    }
  },
)

test("a board that lost this replica's own notice says nothing about those that are missing", async () => {
  const backend = memoryLog({ now: () => backendMs, epoch: 'e' })
  const board = (await backend.open({ group: 'g', signature: 's', author: 'self' })).notices
  const { self: lost, joiner: alsoLost, rest } = { self: 'self', joiner: 'joiner', rest: 'rest' }
  for (const id of [lost, alsoLost, rest]) await board.announce(id, encodeAnnouncement(ANNOUNCEMENT), TTL_MS)
  membership = new Membership({ log: { notices: board }, clock, self: lost, epoch: 'e' })
  await membership.refresh()
  await board.withdraw(lost)
  await board.withdraw(alsoLost)
  await membership.refresh()
  expect(ids()).toEqual([alsoLost, rest, lost])
  await board.announce(lost, encodeAnnouncement(ANNOUNCEMENT), TTL_MS)
  await membership.refresh()
  expect(ids()).toEqual([rest, lost])
})

test('a member whose announcement expired is none any more, even without a read of the presence store', async () => {
  await announce('a')
  await membership.refresh()
  clock.advance(TTL_MS - 1)
  expect(ids()).toEqual(['a'])
  clock.advance(1)
  expect(ids()).toEqual([])
})

test('the expiry of a member is reported when it happens', async () => {
  const stop = new AbortController()
  const running = membership.run(stop.signal)
  await announce('a')
  await announce('b')
  await clock.turn()
  clock.advance(TTL_MS - 1)
  changes = 0
  clock.advance(1)
  expect([changes, ids()]).toEqual([2, []])
  stop.abort()
  await running
})

test('a replica of another incarnation of the log is no member', async () => {
  await announce('a', { epoch: 'another' })
  await membership.refresh()
  expect(ids()).toEqual([])
})

test('a presence that is no announcement is skipped', async () => {
  await log.notices.announce('x', Buffer.from('nonsense'), TTL_MS)
  await announce('a')
  await membership.refresh()
  expect(ids()).toEqual(['a'])
})

test('it follows the presence store until its signal aborts', async () => {
  const stop = new AbortController()
  const running = membership.run(stop.signal)
  await announce('a')
  await clock.turn()
  expect(ids()).toEqual(['a'])
  await log.notices.withdraw('a')
  await clock.turn()
  expect(ids()).toEqual([])
  expect(changes).toBeGreaterThanOrEqual(2)
  stop.abort()
  await running
})

test('members stay while the presence store cannot be reached, and for a while after', async () => {
  let connected = true
  membership = new Membership({
    log: {
      notices: log.notices,
      get connection() {
        return { connected, onChange: () => () => {} }
      },
    },
    clock,
    epoch: 'e',
    graceMs: 50,
  })
  await announce('a')
  await announce('b')
  await membership.refresh()
  connected = false
  clock.advance(10 * TTL_MS)
  expect(ids()).toEqual(['a', 'b'])

  backendMs += 10 * TTL_MS
  connected = true
  membership.reconnected()
  await announce('b', { applied: 9 })
  await membership.refresh()
  expect(ids()).toEqual(['a', 'b'])
  expect(membership.get('b')).toMatchObject({ applied: 9 })
  clock.advance(60)
  expect(ids()).toEqual(['b'])
})

describe('the members that fell silent', () => {
  const HERE = { addresses: ['/ip4/127.0.0.1/tcp/1'] }
  const silent = () =>
    membership.silent.map(({ id, tookLeave, silentSinceMs }) => [id, tookLeave, silentSinceMs])
  /** Time goes on, by both clocks. */
  const advance = (ms: number) => {
    clock.advance(ms)
    backendMs += ms
  }

  test('are listed when their announcements expired, even without a read of the presence store', async () => {
    await announce('a', { ...HERE, applied: 7, version: '0.3.0', signature: 's/1', checkpoint: 6 })
    await membership.refresh()
    expect(silent()).toEqual([])
    advance(TTL_MS + 50)
    expect(membership.silent).toEqual([
      {
        ...{ id: 'a', state: 'in-sync', applied: 7, checkpoint: 6, version: '0.3.0', signature: 's/1' },
        ...{ ...HERE, announcedAtMs: 0, silentSinceMs: TTL_MS, tookLeave: false },
      },
    ])
    expect(membership.list()).toEqual([])
  })

  test('took their leave if they withdrew their announcements, or announced that they stopped', async () => {
    await announce('withdrawn', HERE)
    await announce('stopped', { ...HERE, state: 'stopped' })
    await announce('killed', HERE)
    await membership.refresh()
    advance(10)
    await log.notices.withdraw('withdrawn')
    await membership.refresh()
    expect(silent()).toEqual([['withdrawn', true, 10]])
    advance(TTL_MS)
    await membership.refresh()
    expect(silent()).toEqual([
      ['killed', false, TTL_MS],
      ['stopped', true, TTL_MS],
      ['withdrawn', true, 10],
    ])
  })

  test('are members again, and nothing else, when they speak again', async () => {
    await announce('a', HERE)
    await membership.refresh()
    advance(TTL_MS)
    await membership.refresh()
    expect([ids(), silent()]).toEqual([[], [['a', false, TTL_MS]]])
    await announce('a', HERE)
    await membership.refresh()
    expect([ids(), silent()]).toEqual([['a'], []])
  })

  test('are forgotten after ten minutes', async () => {
    await announce('a', HERE)
    await membership.refresh()
    advance(TTL_MS + 599_999)
    expect(silent()).toEqual([['a', false, TTL_MS]])
    advance(1)
    expect(silent()).toEqual([])
    // What they announced is still in the presence store.
    await membership.refresh()
    expect(silent()).toEqual([])
  })

  test('are known to one that came later, as long as the presence store has what they announced', async () => {
    await announce('a', HERE)
    backendMs += 60_000
    clock.advance(200_000)
    await membership.refresh()
    expect([ids(), silent()]).toEqual([[], [['a', false, 200_000 - 60_000 + TTL_MS]]])
  })

  test('are at most 200, the last ones, and none of them is large', async () => {
    const addresses = new Array(50).fill('/ip4/127.0.0.1/tcp/1')
    for (let n = 0; n < 201; n++) {
      await announce(`m${n}`, { addresses: ['x'.repeat(1_000), ...addresses], process: 'p'.repeat(10_000) })
      await membership.refresh()
      advance(1)
      await log.notices.withdraw(`m${n}`)
      await membership.refresh()
    }
    const { silent: all } = membership
    expect([all.length, all[0]?.id, all.at(-1)?.id]).toEqual([200, 'm200', 'm1'])
    for (const member of all) expect(JSON.stringify(member).length).toBeLessThan(1_000)
  })

  test('are not those that had no address: commands that were members for a moment', async () => {
    await announce('visitor')
    await membership.refresh()
    advance(TTL_MS)
    expect(silent()).toEqual([])
  })

  test('are none while the presence store cannot be reached, and until all had time to speak again', async () => {
    let connected = true
    const connection = {
      get connected() {
        return connected
      },
      onChange: () => () => {},
    }
    membership = new Membership({
      log: { notices: log.notices, connection },
      clock,
      epoch: 'e',
      graceMs: TTL_MS,
    })
    await announce('a', HERE)
    await membership.refresh()
    connected = false
    advance(10 * TTL_MS)
    expect([ids(), silent()]).toEqual([['a'], []])
    connected = true
    membership.reconnected()
    await membership.refresh()
    expect([ids(), silent()]).toEqual([['a'], []])
    advance(TTL_MS)
    expect([ids(), silent()]).toEqual([[], [['a', false, 11 * TTL_MS]]])
  })
})
