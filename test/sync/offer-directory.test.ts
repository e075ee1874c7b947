import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { Disputed } from '../../src/sync/errors.ts'
import { Faults } from '../../src/sync/fetching/faults.ts'
import { LostAnchors } from '../../src/sync/fetching/lost-anchors.ts'
import { OfferDirectory } from '../../src/sync/fetching/offer-directory.ts'
import type { SyncMember } from '../../src/sync/host.ts'
import type { OfferView } from '../../src/sync/wire/messages.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { at } from './sync-group.ts'

let members: (SyncMember & { applied: number })[]
let told: Map<string, OfferView[]>
let asked: string[]
let faulty: [peer: string, message: string][]
let membersChanged: () => void
let directory: OfferDirectory

beforeEach(() => {
  members = ['l', 'f'].map((id) => ({ id, addresses: [], serves: true, applied: 100 }))
  told = new Map()
  asked = []
  faulty = []
  const channel = async (member: string) => ({
    request: async () => {
      asked.push(member)
      return { type: 'offers', offers: told.get(member) ?? [] }
    },
  })
  directory = new OfferDirectory({
    self: 'j',
    host: {
      members: () => members,
      onMembersChanged: (listener) => {
        membersChanged = listener
        return () => {}
      },
    },
    peers: { channel: channel as never },
    clock: new VirtualClock(),
    random: () => 0,
    faults: new Faults((peer, error) => faulty.push([peer, error.message])),
    pin: { introduce: () => undefined },
    signal: new AbortController().signal,
  })
})

async function poll(): Promise<void> {
  directory.poll()
  while (!directory.isSettled) await nextTurn()
}

test('a member that captured after its answer may yet offer the anchor, until it answers again', async () => {
  await poll()
  expect(directory.candidates(at(101), 0)).toEqual(['l', 'f'])
  members[1]!.applied = 101
  expect(directory.candidates(at(101), 0)).toEqual(['l', 'f'])
  await poll()
  expect(directory.candidates(at(101), 0)).toEqual(['l'])
})

test('members are asked when they come, once somebody wants to know what they offer', async () => {
  membersChanged()
  expect(asked).toEqual([])
  await poll()
  members = [...members, { id: 'new', addresses: [], serves: true, applied: 0 }]
  membersChanged()
  membersChanged()
  while (!directory.isSettled) await nextTurn()
  expect(asked).toEqual(['l', 'f', 'new'])
})

test('what a listener throws at an answer is told as a fault of that member', async () => {
  directory.subscribe(() => {
    throw new Error('the host is broken')
  })
  await poll()
  await nextTurn()
  expect(faulty).toEqual([
    ['l', 'the host is broken'],
    ['f', 'the host is broken'],
  ])
})

test('an anchor is lost that was chosen, whichever the error of the host names', () => {
  const lost = new LostAnchors()
  lost.add(at(5), new Disputed(at(7), new Map()), 0)
  expect([lost.isUseless(at(5)), lost.isUseless(at(7))]).toEqual([true, false])
})
