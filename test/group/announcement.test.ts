import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Announcement,
  announcementBytesMax,
  decodeAnnouncement,
  encodeAnnouncement,
  encodeWithin,
} from '../../src/group/announcement.ts'
import { Announcement_CatchUpSchema, AnnouncementSchema } from '../../src/group/pb/group_pb.js'

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
  version: '0.3.0',
  signature: 'cities/1',
  networkKeys: ['0123abcd', 'ffffffff'],
  catchUp: {
    id: '0123456789abcdef',
    phase: 'fetching',
    anchor: 9,
    chunks: 3,
    chunksTotal: 5,
    bytes: 2 ** 40,
    bytesTotal: 2 ** 41,
    elapsedMs: 1_500,
    providers: [
      { peer: '12D3KooWA', chunks: 2, bytesPerSecond: 9_000_000 },
      { peer: '12D3KooWB', chunks: 1, bytesPerSecond: 0 },
    ],
    cells: Uint8Array.of(0x11, 0x31, 0x10, 0, 0),
  },
}

test('an announcement is read as it was written', () => {
  expect(decodeAnnouncement(encodeAnnouncement(FULL))).toEqual(FULL)
})

test('of the names of network keys, two are read, and nothing else than such names', () => {
  const networkKeys = ['nonsense', '\u001b[31mred', '0123abcd', '0123abcd0', '00000001', '00000002']
  const read = decodeAnnouncement(encodeAnnouncement({ ...FULL, networkKeys }))
  expect(read?.networkKeys).toEqual(['0123abcd', '00000001'])
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

/** Without what only people look at. */
const { catchUp: _c, version: _v, signature: _s, networkKeys: _n, ...RELIED_ON } = FULL

test('no announcement of these addresses is larger than the largest, but for what only people look at', () => {
  const { epoch, addresses } = FULL
  const most = announcementBytesMax({ epoch, addresses, offers: 2 })
  expect(encodeAnnouncement(RELIED_ON).length).toBeLessThan(most)
  const late = { applied: 2 ** 53 - 1, checkpoint: 2 ** 53 - 1, receivedBytes: 2 ** 53 - 1 }
  expect(encodeAnnouncement({ ...RELIED_ON, ...late }).length).toBeLessThan(most)
  expect(announcementBytesMax({ epoch, addresses: [...addresses, 'x'], offers: 2 })).toBe(most + 3)
})

test('where presences are small, the catch-up is left out first, then the versions and network keys, and nothing else', () => {
  const bytes = (announcement: Announcement) => encodeAnnouncement(announcement).length
  const { catchUp: _catchUp, ...still } = FULL
  const written = (bytesMax: number) => decodeAnnouncement(encodeWithin(FULL, bytesMax))
  expect(written(bytes(FULL))).toEqual(FULL)
  expect(written(bytes(FULL) - 1)).toEqual(still)
  expect(written(bytes(still) - 1)).toEqual(RELIED_ON)
  expect(written(0)).toEqual(RELIED_ON)
})

test('a long signature is cut, and so is one that a peer did not cut', () => {
  const read = (signature: string) =>
    decodeAnnouncement(encodeAnnouncement({ ...FULL, signature }))?.signature
  expect(read('s'.repeat(200))).toBe('s'.repeat(200))
  expect(read('s'.repeat(201))).toBe(`${'s'.repeat(199)}…`)
  // It would be cut within a character.
  expect(read(`s${'\u{1f600}'.repeat(100)}`)).toBe(`s${'\u{1f600}'.repeat(99)}…`)
  const uncut = create(AnnouncementSchema, {
    state: 'in-sync',
    signature: 's'.repeat(9_999),
    version: '9'.repeat(99),
  })
  const { signature, version } = decodeAnnouncement(toBinary(AnnouncementSchema, uncut))!
  expect([signature?.length, version?.length]).toEqual([200, 64])
})

describe('the catch-up that a peer announces', () => {
  const read = (init: MessageInitShape<typeof Announcement_CatchUpSchema>) => {
    const catchUp = create(Announcement_CatchUpSchema, init)
    const message = create(AnnouncementSchema, { state: 'catching-up', catchUp })
    return decodeAnnouncement(toBinary(AnnouncementSchema, message))!.catchUp
  }
  const valid = { id: 'a1', phase: 'fetching' }
  const provider = { peer: 'peer', chunks: 1n, bytesPerSecond: 1n }

  test.each([
    ['without an id', { id: '' }],
    ['with an id that is no hexadecimal number', { id: '<b>' }],
    ['with an id of 33 digits', { id: 'a'.repeat(33) }],
    ['in a phase that nobody knows', { phase: 'dancing' }],
    ['with a provider without a name', { providers: [{ ...provider, peer: '' }] }],
    [
      'with a provider with an escape in its name',
      { providers: [provider, { ...provider, peer: '\u001b[2J' }] },
    ],
    ['with a provider with a long name', { providers: [{ ...provider, peer: 'p'.repeat(129) }] }],
  ])('is none %s', (_what, catchUp) => {
    expect(read({ ...valid, ...catchUp })).toBeUndefined()
    expect(read(valid)).toBeDefined()
  })

  test('has at most 15 providers and 128 cells', () => {
    const many = read({
      ...valid,
      providers: new Array(40).fill(provider),
      cells: new Uint8Array(500).fill(0x1f),
    })
    expect([many?.providers.length, many?.cells.length]).toEqual([15, 128])
  })

  test('has no cell that nobody can mean', () => {
    const cells = Uint8Array.of(0xff, 0x12, 0x11, 0x01, 0x20, 0xd0)
    expect([...read({ ...valid, providers: [provider], cells })!.cells]).toEqual([
      0x30, 0x10, 0x11, 0, 0, 0x10,
    ])
  })

  test('has no more chunks here than there are, and no number that is not exact', () => {
    const most = 2n ** 64n - 1n
    const { chunks, chunksTotal, bytes, anchor, elapsedMs } = read({
      ...{ ...valid, chunks: most, chunksTotal: 7n, bytes: 9n, anchor: most, elapsedMs: most },
    })!
    expect({ chunks, chunksTotal, bytes }).toEqual({ chunks: 7, chunksTotal: 7, bytes: 0 })
    expect([anchor, elapsedMs]).toEqual([Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER])
  })

  test('is as it was told, or none, whatever a peer writes', () => {
    const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    const catchUps = fc.record(
      {
        id: fc.oneof(fc.stringMatching(/^[0-9a-f]{1,33}$/), fc.string()),
        phase: fc.oneof(fc.constantFrom('fetching', 'replaying'), fc.string()),
        anchor: number,
        chunks: number,
        chunksTotal: number,
        bytes: number,
        bytesTotal: number,
        elapsedMs: number,
        providers: fc.array(
          fc.record({
            peer: fc.oneof(fc.constant('peer'), fc.string()),
            chunks: number,
            bytesPerSecond: number,
          }),
          { maxLength: 20 },
        ),
        cells: fc.uint8Array({ maxLength: 200 }),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(catchUps, (catchUp) => {
        const seen = read(catchUp)
        if (seen === undefined) return
        // What was read is within all bounds: it is read as it was once more.
        expect(decodeAnnouncement(encodeAnnouncement({ ...FULL, catchUp: seen }))?.catchUp).toEqual(seen)
        expect(seen.chunks).toBeLessThanOrEqual(seen.chunksTotal)
        for (const cell of seen.cells) expect(cell & 0b1111).toBeLessThanOrEqual(seen.providers.length)
      }),
      { numRuns: 2000 },
    )
  })
})

test('a replica that is not catching up tells of no catch-up', () => {
  expect(decodeAnnouncement(encodeAnnouncement(RELIED_ON))).toEqual(RELIED_ON)
})

test('a presence that is no announcement of this version is not read', () => {
  const unknown = { ...FULL, state: 'dancing' } as unknown as Announcement
  expect(decodeAnnouncement(encodeAnnouncement(unknown))).toBeUndefined()
  expect(decodeAnnouncement(new Uint8Array(0))).toBeUndefined()
})

/** What is read can be announced once more, and is the same then. */
function expectReadAgain(bytes: Uint8Array): Announcement | undefined {
  const read = decodeAnnouncement(bytes)
  if (read !== undefined) expect(decodeAnnouncement(encodeAnnouncement(read))).toEqual(read)
  return read
}

test('a number that is not exact, or no time that a timer can take, is read as the largest', () => {
  const most = 2n ** 64n - 1n
  const message = create(AnnouncementSchema, {
    ...{ state: 'in-sync', applied: most, leads: most, needs: most, checkpoint: most, receivedBytes: most },
    prune: { keepEntries: most },
    offers: [{ anchor: most, remainingMs: 2 ** 32 - 1, servedBytes: most }],
    format: 2 ** 32 - 1,
  })
  const exact = Number.MAX_SAFE_INTEGER
  expect(expectReadAgain(toBinary(AnnouncementSchema, message))).toMatchObject({
    ...{ applied: exact, leads: exact, needs: exact, checkpoint: exact, receivedBytes: exact },
    prune: { keepEntries: exact },
    offers: [{ anchor: exact, remainingMs: 2 ** 31 - 1, servedBytes: exact }],
    // A later release's is read as it is: each replica goes by the lowest of all.
    format: 2 ** 32 - 1,
  })
})

test('what a member announces is announced again as it was read, whatever it is', () => {
  const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  const number32 = fc.nat(2 ** 32 - 1)
  const text = fc.string({ unit: 'grapheme' })
  const message = fc.record(
    {
      epoch: text,
      addresses: fc.array(text),
      applied: number,
      leads: number,
      offers: fc.array(
        fc.record({ anchor: number, remainingMs: number32, ready: fc.boolean(), servedBytes: number }),
      ),
      needs: number,
      receivedBytes: number,
      checkpoint: number,
      durable: fc.boolean(),
      prune: fc.record({ keepEntries: number, volatile: fc.boolean() }),
      process: text,
      contested: fc.boolean(),
      format: number32,
      speaks: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 }),
      version: text,
      signature: fc.string({ unit: 'grapheme', maxLength: 300 }),
      networkKeys: fc.array(fc.oneof(text, fc.stringMatching(/^[0-9a-f]{8}$/))),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(message, (init) => {
      const bytes = toBinary(AnnouncementSchema, create(AnnouncementSchema, { ...init, state: 'in-sync' }))
      expect(expectReadAgain(bytes)).toBeDefined()
    }),
    { numRuns: 1000 },
  )
})

test('a presence of random bytes, or damaged anywhere, is an announcement or none, and never an error', () => {
  const whole = encodeAnnouncement(FULL)
  const damaged = fc
    .tuple(fc.nat(whole.length - 1), fc.nat(255))
    .map(([at, byte]) => Uint8Array.from(whole).with(at, byte))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
      const read = expectReadAgain(bytes)
      if (read !== undefined) expect(typeof read.applied).toBe('number')
    }),
    { numRuns: 2000 },
  )
})
