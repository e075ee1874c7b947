import { expect, test } from 'vitest'
import type { ReplicaState } from '../../src/group/announcement.ts'
import type { Member } from '../../src/group/membership.ts'
import { Holders } from '../../src/replica/membership/holders.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const member = (id: string, state: ReplicaState, offers: Member['offers'] = []): Member => ({
  id,
  state,
  offers,
  epoch: 'e',
  addresses: [],
  applied: 0,
  leads: 0,
  needs: 0,
  checkpoint: 0,
  announcedAtMs: 0,
  untilMs: 0,
})
const OFFER = { anchor: 7, remainingMs: 1_000, ready: true }

test('who announces a state holds one, or may be about to; this replica itself does not count', () => {
  const members = [
    member('me', 'in-sync'),
    member('a', 'in-sync'),
    member('b', 'following'),
    member('c', 'starting'),
    member('d', 'halted', [OFFER]),
    member('e', 'halted'),
    member('f', 'catching-up'),
    member('g', 'lost'),
  ]
  const holders = new Holders({ self: 'me', clock: new VirtualClock(), membership: { list: () => members } })
  expect(holders.since(0)).toEqual(['a', 'b', 'c', 'd'])
})

test('whose announcement has expired since counts still, and not for the next time', () => {
  const clock = new VirtualClock()
  let members = [member('a', 'in-sync'), member('b', 'in-sync')]
  const holders = new Holders({ self: 'me', clock, membership: { list: () => members } })
  const beganMs = clock.now()
  holders.look()
  clock.advance(1_000)
  members = [member('b', 'in-sync')]
  expect(holders.since(beganMs)).toEqual(['a', 'b'])
  expect(holders.since(beganMs + 1)).toEqual(['b'])
})
