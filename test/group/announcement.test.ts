import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Announcement,
  announcementBytesMax,
  decodeAnnouncement,
  encodeAnnouncement,
} from '../../src/group/announcement.ts'

const FULL: Announcement = {
  epoch: 'an epoch',
  addresses: ['/ip4/127.0.0.1/tcp/4001', '/dns4/example.org/tcp/443'],
  state: 'catching-up',
  applied: 2 ** 40,
  leads: 3,
  offers: [
    { anchor: 7, remainingMs: 1000, ready: true, servedBytes: 5 },
    { anchor: 9, remainingMs: 0, ready: false },
  ],
  needs: 9,
  receivedBytes: 4,
  checkpoint: 0,
  durable: true,
  prune: { keepEntries: 2 ** 40, volatile: true },
}

test('an announcement is read as it was written', () => {
  expect(decodeAnnouncement(encodeAnnouncement(FULL))).toEqual(FULL)
})

test.each(['starting', 'following', 'catching-up', 'in-sync', 'lost', 'halted', 'stopped'] as const)(
  'the state %s can be announced',
  (state) => {
    expect(decodeAnnouncement(encodeAnnouncement({ ...FULL, state }))?.state).toBe(state)
  },
)

test('a part of a millisecond that remains is announced as a whole one', () => {
  const offers = [{ anchor: 7, remainingMs: 0.25, ready: true }]
  expect(decodeAnnouncement(encodeAnnouncement({ ...FULL, offers }))?.offers).toEqual([
    { anchor: 7, remainingMs: 1, ready: true },
  ])
})

test('no announcement of these addresses is larger than the largest', () => {
  const { epoch, addresses } = FULL
  const most = announcementBytesMax({ epoch, addresses, offers: 2 })
  expect(encodeAnnouncement(FULL).length).toBeLessThan(most)
  const late = { applied: 2 ** 53 - 1, checkpoint: 2 ** 53 - 1, receivedBytes: 2 ** 53 - 1 }
  expect(encodeAnnouncement({ ...FULL, ...late }).length).toBeLessThan(most)
  expect(announcementBytesMax({ epoch, addresses: [...addresses, 'x'], offers: 2 })).toBe(most + 3)
})

test('a presence that is no announcement of this version is not read', () => {
  const unknown = { ...FULL, state: 'dancing' } as unknown as Announcement
  expect(decodeAnnouncement(encodeAnnouncement(unknown))).toBeUndefined()
  expect(decodeAnnouncement(new Uint8Array(0))).toBeUndefined()
})

test('a presence of random bytes, or damaged anywhere, is an announcement or none, and never an error', () => {
  const whole = encodeAnnouncement(FULL)
  const damaged = fc
    .tuple(fc.nat(whole.length - 1), fc.nat(255))
    .map(([at, byte]) => Uint8Array.from(whole).with(at, byte))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
      const read = decodeAnnouncement(bytes)
      if (read !== undefined) expect(typeof read.applied).toBe('number')
    }),
    { numRuns: 2000 },
  )
})
