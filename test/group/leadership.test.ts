import { beforeEach, expect, test } from 'vitest'
import { begunWith } from '../../src/group/carried-state.ts'
import { decodeControl } from '../../src/group/control.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { Leadership } from '../../src/group/leadership.ts'
import type { Member } from '../../src/group/membership.ts'
import { Versions } from '../../src/group/versions.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { controlEntry } from './entries.ts'

const LEASE_MS = 1000
const SOURCE = { group: 'g', epoch: 'e', index: 9 }
/** The part of the spread between candidates that `random: () => 0.5` gives, in milliseconds. */
const SPREAD_MS = 125

let clock: VirtualClock
let group: GroupState
let members: Map<string, Member>
let eligible: boolean
let claims: number[]
let claim: (term: number, format?: number) => Promise<void>
/** Takes in the announcements that are in the presence store and were not read yet. */
let unheard: () => void
let leadership: Leadership
let index: number

beforeEach(() => {
  clock = new VirtualClock()
  group = new GroupState()
  members = new Map()
  eligible = true
  claims = []
  unheard = () => {}
  index = 0
  claim = async (term) => {
    claims.push(term)
    elect('self', term)
  }
  leadership = new Leadership({
    self: 'self',
    clock,
    leaseMs: LEASE_MS,
    random: () => 0.5,
    group,
    membership: {
      get: (id) => members.get(id),
      list: () => [...members.values()],
      refresh: async () => unheard(),
    },
    log: {
      append: async ([entry]) => {
        const control = decodeControl(entry!.payload)
        if (control?.type === 'claim') await claim(control.term, control.format)
        return { first: index, last: index }
      },
    },
    lead: true,
    status: {
      get state() {
        return eligible ? 'in-sync' : 'following'
      },
    },
  })
})

/** A claim is applied. */
function elect(leader: string, term = group.term + 1): void {
  group.apply(controlEntry(++index, leader, { type: 'claim', term }))
  leadership.changed()
}

/** An announcement of the leader is seen. */
function announce(id: string, fields: Partial<Member> = {}): void {
  members.set(id, {
    id,
    epoch: 'e',
    addresses: [],
    state: 'in-sync',
    applied: index,
    leads: group.term,
    offers: [],
    needs: 0,
    checkpoint: 0,
    announcedAtMs: clock.now(),
    untilMs: clock.now() + LEASE_MS,
    ...fields,
  })
  leadership.check()
}

/** Advance time in steps, so that promises between two timers settle as on a real clock. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 25) {
    clock.advance(Math.min(25, left))
    await clock.turn()
  }
}

test('without a leader, a candidate claims the first term after a short random wait', async () => {
  leadership.check()
  await pass(SPREAD_MS - 25)
  expect(claims).toEqual([])
  await pass(25)
  expect(claims).toEqual([1])
})

test('a candidate does not claim while the leader announces itself', async () => {
  elect('other')
  for (let n = 0; n < 20; n++) {
    announce('other')
    await pass(LEASE_MS / 2)
  }
  expect(claims).toEqual([])
})

test('a leader that falls silent is replaced after a lease, not before', async () => {
  elect('other')
  await pass(500)
  announce('other')
  await pass(LEASE_MS + SPREAD_MS - 25)
  expect(claims).toEqual([])
  await pass(25)
  expect(claims).toEqual([2])
})

test('a lease counts from when the leader announced, not from when that was read', async () => {
  await pass(2000)
  elect('other')
  await pass(600)
  announce('other', { announcedAtMs: clock.now() - 400 })
  await pass(600 + SPREAD_MS)
  expect(claims).toEqual([2])
})

test('a new leader has a lease to announce itself', async () => {
  await pass(5 * LEASE_MS)
  elect('other')
  await pass(LEASE_MS + SPREAD_MS - 25)
  expect(claims).toEqual([])
  await pass(25)
  expect(claims).toEqual([2])
})

test('a leader that says it does not lead any more is replaced at once', async () => {
  elect('other')
  announce('other')
  await pass(100)
  announce('other', { leads: 0 })
  await pass(SPREAD_MS)
  expect(claims).toEqual([2])
})

test('an announcement from before the leader applied its own claim is no resignation', async () => {
  elect('other')
  announce('other', { leads: 0, applied: 0 })
  await pass(LEASE_MS - 25)
  expect(claims).toEqual([])
})

test('a replica claims only once it is eligible', async () => {
  eligible = false
  leadership.check()
  await pass(10 * LEASE_MS)
  expect(claims).toEqual([])
  eligible = true
  leadership.check()
  await pass(SPREAD_MS)
  expect(claims).toEqual([1])
})

test('a replica that stops being eligible during the short wait does not claim', async () => {
  leadership.check()
  await pass(50)
  eligible = false
  await pass(LEASE_MS)
  expect(claims).toEqual([])
})

test('a leader does not claim again', async () => {
  elect('self')
  await pass(10 * LEASE_MS)
  expect(claims).toEqual([])
})

test('the loser of a race waits for the winner to announce itself', async () => {
  claim = async (term) => {
    claims.push(term)
    elect('other', term)
    elect('self', term)
  }
  leadership.check()
  await pass(SPREAD_MS)
  expect([claims, group.leader]).toEqual([[1], 'other'])
  announce('other')
  await pass(LEASE_MS - 50)
  announce('other')
  await pass(LEASE_MS - 50)
  expect(claims).toEqual([1])
})

test('a claim that fails is made again after a lease, if the office is still vacant', async () => {
  claim = async (term) => {
    claims.push(term)
    throw new Error('the log is locked')
  }
  leadership.check()
  await pass(SPREAD_MS + LEASE_MS - 25)
  expect(claims).toEqual([1])
  await pass(SPREAD_MS + 25)
  expect(claims).toEqual([1, 1])
})

test('a candidate does not claim twice while its claim is being appended', async () => {
  const appended = Promise.withResolvers<void>()
  claim = async (term) => {
    claims.push(term)
    await appended.promise
  }
  leadership.check()
  await pass(SPREAD_MS)
  leadership.check()
  await pass(5 * LEASE_MS)
  expect(claims).toEqual([1])
  appended.resolve()
})

test('a stopped candidate does not claim', async () => {
  leadership.check()
  leadership.stop()
  leadership.check()
  await pass(LEASE_MS)
  expect(claims).toEqual([])
})

test('after the log could not be reached, the leader has a lease to announce itself', async () => {
  elect('a')
  announce('a')
  eligible = false
  leadership.check()
  clock.advance(10 * LEASE_MS)

  eligible = true
  leadership.reconnected()
  clock.advance(LEASE_MS - 1)
  expect(claims).toEqual([])
  await pass(1 + SPREAD_MS)
  expect(claims).toEqual([2])
})

test('a replica that was stopped for longer than a lease reads the presence store before it claims', async () => {
  elect('other')
  announce('other')
  unheard = () => announce('other')
  await pass(20 * LEASE_MS)
  expect(claims).toEqual([])
  unheard = () => {}
  await pass(LEASE_MS + SPREAD_MS)
  expect(claims).toEqual([2])
})

test('a candidate does not claim while the presence store cannot be read', async () => {
  elect('other')
  unheard = () => {
    throw new Error('the board is locked')
  }
  await pass(5 * LEASE_MS)
  expect(claims).toEqual([])
  unheard = () => {}
  await pass(2 * LEASE_MS)
  expect(claims).toEqual([2])
})

test('a log that begins with a snapshot keeps the format of that, whatever newer one all speak', async () => {
  const formats: (number | undefined)[] = []
  claim = async (_term, format) => void formats.push(format)
  Object.defineProperty(group, 'versions', { value: new Versions({ signature: '' }, 9) })
  group.restore(begunWith({ format: 2, signature: '', timeMs: 0, chunkBytes: 0, source: SOURCE }))
  leadership.check()
  await clock.advance(SPREAD_MS)
  expect(formats).toEqual([2])
})
