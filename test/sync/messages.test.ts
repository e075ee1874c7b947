import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CHUNK_BYTES_MAX } from '../../src/bounds.ts'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { HASH_BYTES } from '../../src/snapshot/hash.ts'
import { PeerUnavailable } from '../../src/sync/errors.ts'
import {
  CONTROL_BYTES_MAX,
  MANIFEST_PAGE_CHUNKS,
  RESPONSE_BYTES_MAX,
  RESPONSE_HEADER_BYTES_MAX,
} from '../../src/sync/limits.ts'
import { Busy, Malformed, NotLeader, type WireError } from '../../src/sync/wire/errors.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  PLAIN_ERRORS,
  type RequestBody,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'

const ANCHOR = { epoch: 'an epoch', index: 2 ** 40 }
const OFFER = { anchor: ANCHOR, remainingMs: 1000, ready: true }
const SCOPE = { group: 'g', signature: 's/1' }
const HASH = new Uint8Array(HASH_BYTES).fill(3)
const CHUNKS = [
  { items: 2, bytes: 10, hash: HASH },
  { items: 1, bytes: 1, hash: HASH },
]
const CONTROL = Uint8Array.from(Buffer.from('control'))
/** As far as it is cut, complete, and complete without a byte in it. */
const MANIFESTS: ResponseBody[] = [
  { type: 'manifest', chunks: CHUNKS, control: undefined },
  { type: 'manifest', chunks: [], control: undefined },
  { type: 'manifest', chunks: CHUNKS, control: CONTROL },
  { type: 'manifest', chunks: [], control: new Uint8Array(0) },
]

const REQUESTS: RequestBody[] = [
  { type: 'snapshot', position: { epoch: 'e', index: 0 } },
  { type: 'offers' },
  { type: 'manifest', anchor: ANCHOR, from: 0 },
  { type: 'manifest', anchor: ANCHOR, from: 0xffff_ffff },
  { type: 'chunks', anchor: ANCHOR, first: 0, count: 4 },
  { type: 'keepAlive', anchor: ANCHOR },
  { type: 'offer', offer: OFFER },
  { type: 'query', question: Uint8Array.of(1, 2) },
  { type: 'query', question: new Uint8Array() },
  { type: 'status' },
  { type: 'order', order: { type: 'prune', keepEntries: 0 } },
  { type: 'order', order: { type: 'prune', keepEntries: Number.MAX_SAFE_INTEGER } },
  { type: 'order', order: { type: 'upgrade', to: 'inventory/2' } },
]
const RESPONSES: ResponseBody[] = [
  { type: 'anchored', anchor: ANCHOR },
  { type: 'offers', offers: [] },
  { type: 'offers', offers: [OFFER, { ...OFFER, remainingMs: 0, ready: false }] },
  { type: 'chunk', index: 7, encoding: 'raw' },
  { type: 'chunk', index: 7, encoding: 'zstd' },
  { type: 'revived', remainingMs: 9 },
  { type: 'noted' },
  { type: 'answer', found: true, index: 7 },
  { type: 'answer', found: false, index: 0 },
  { type: 'status' },
  { type: 'done', index: Number.MAX_SAFE_INTEGER },
]
const ERRORS: WireError[] = [
  ...Object.values(PLAIN_ERRORS).map((Kind) => new Kind('x')),
  new Busy('x', 250),
  new NotLeader('12D3'),
  new NotLeader(undefined),
]

/** An unsigned varint of four bytes. */
const varint = (value: number) =>
  [0, 7, 14, 21].map((shift) => ((value >>> shift) & 0x7f) | (shift < 21 ? 0x80 : 0))

test.each(REQUESTS)('a request is read as it was written: %o', (body) => {
  const request = { id: 5, ...SCOPE, body }
  expect(decodeRequest(encodeRequest(request))).toEqual(request)
})

test.each(RESPONSES)('an answer is read as it was written: %o', (body) => {
  expect(decodeResponse(encodeResponse({ id: 5, body }))).toEqual({ id: 5, body })
})

test.each(MANIFESTS)('a list of chunks is read as it was written, its end included: %o', (body) => {
  const read = decodeResponse(encodeResponse({ id: 1, body })).body
  expect(read).toMatchObject({ chunks: body.type === 'manifest' ? body.chunks : undefined })
  expect(read).toHaveProperty('control', body.type === 'manifest' ? body.control : undefined)
})

test.each(ERRORS)('an error arrives as the class it was, with its values: $name', (error) => {
  const { body } = decodeResponse(encodeResponse({ id: 1, body: { type: 'error', error } }))
  if (body.type !== 'error') throw new Error(`not an error but ${body.type}`)
  expect(body.error.constructor).toBe(error.constructor)
  expect({ ...body.error, message: body.error.message }).toEqual({ ...error, message: error.message })
})

test('an error that this version does not know arrives as Failed', () => {
  const error = new PeerUnavailable('why')
  const { body } = decodeResponse(encodeResponse({ id: 1, body: { type: 'error', error } }))
  expect(body).toMatchObject({ error: { name: 'Failed', message: 'why' } })
})

test('a peer that is busy cannot make us wait for longer than a minute', () => {
  const error = new Busy('come back next month', 2_600_000_000)
  const { body } = decodeResponse(encodeResponse({ id: 1, body: { type: 'error', error } }))
  if (body.type !== 'error' || !(body.error instanceof Busy)) throw new Error('not Busy')
  expect(body.error.retryMs).toBeLessThanOrEqual(60_000)
})

test.each([0.25, -3, 1e12])('%d ms that remain are sent as a whole number that fits', (remainingMs) => {
  const { body } = decodeResponse(encodeResponse({ id: 1, body: { type: 'revived', remainingMs } }))
  expect(body).toEqual({
    type: 'revived',
    remainingMs: Math.min(0xffff_ffff, Math.max(0, Math.ceil(remainingMs))),
  })
})

test.each<[string, RequestBody]>([
  ['an empty epoch', { type: 'keepAlive', anchor: { epoch: '', index: 1 } }],
  ['an epoch of 65 characters', { type: 'keepAlive', anchor: { epoch: 'x'.repeat(65), index: 1 } }],
  ['an index beyond what a number holds', { type: 'snapshot', position: { epoch: 'e', index: 2 ** 60 } }],
])('a request with %s is malformed', (_what, body) => {
  expect(() => decodeRequest(encodeRequest({ id: 1, ...SCOPE, body }))).toThrow(Malformed)
})

test.each([
  ['a chunk without items', { items: 0, bytes: 5, hash: HASH }],
  ['a chunk with more items than bytes', { items: 6, bytes: 5, hash: HASH }],
  ['a chunk beyond what a frame can carry', { items: 1, bytes: 0xffff_ffff, hash: HASH }],
  ['a hash of another length', { items: 1, bytes: 5, hash: HASH.subarray(1) }],
])('a manifest with %s is malformed', (_what, chunk) => {
  const body: ResponseBody = { type: 'manifest', chunks: [chunk], control: undefined }
  expect(() => decodeResponse(encodeResponse({ id: 1, body }))).toThrow(Malformed)
})

test('the largest chunk that a marker can ask for fits into a frame', () => {
  const lengthBytes = 4
  const chunkBytes = 2 * CHUNK_BYTES_MAX - 1 + lengthBytes + ITEM_BYTES_MAX
  const header = encodeResponse({
    id: 0xffff_ffff,
    body: { type: 'chunk', index: 0xffff_ffff, encoding: 'zstd' },
  })
  expect(1 + header.length + chunkBytes).toBeLessThanOrEqual(RESPONSE_BYTES_MAX)
})

test('a page of chunks with all control bytes is read, and one chunk or control byte more is malformed', () => {
  const chunk = { items: RESPONSE_BYTES_MAX, bytes: RESPONSE_BYTES_MAX, hash: HASH }
  const encoded = (chunks: number, controlBytes: number) => {
    const control = new Uint8Array(controlBytes)
    return encodeResponse({
      id: 0xffff_ffff,
      body: { type: 'manifest', chunks: new Array(chunks).fill(chunk), control },
    })
  }
  const { body } = decodeResponse(encoded(MANIFEST_PAGE_CHUNKS, CONTROL_BYTES_MAX))
  expect(body).toMatchObject({
    chunks: { length: MANIFEST_PAGE_CHUNKS },
    control: { length: CONTROL_BYTES_MAX },
  })
  expect(() => decodeResponse(encoded(MANIFEST_PAGE_CHUNKS + 1, 0))).toThrow(/too many chunks/)
  expect(() => decodeResponse(encoded(0, CONTROL_BYTES_MAX + 1))).toThrow(/too many control bytes/)
})

test('a header longer than any answer has is malformed before it is decoded', () => {
  // Of no chunk, and yet valid: a field that this version does not know.
  const padding = Buffer.alloc(RESPONSE_HEADER_BYTES_MAX)
  const noted = encodeResponse({ id: 1, body: { type: 'noted' } })
  const unknown = Buffer.from([0x7a, ...varint(padding.length)])
  expect(() => decodeResponse(Buffer.concat([noted, unknown, padding]))).toThrow(/a response of \d+ bytes/)
  const fits = padding.subarray(noted.length + unknown.length)
  const shorter = Buffer.from([0x7a, ...varint(fits.length)])
  expect(decodeResponse(Buffer.concat([noted, shorter, fits]))).toMatchObject({ body: { type: 'noted' } })
})

test('sixty-four offers are read, one more is malformed', () => {
  const encoded = (count: number) =>
    encodeResponse({ id: 1, body: { type: 'offers', offers: new Array(count).fill(OFFER) } })
  expect(decodeResponse(encoded(64))).toMatchObject({ body: { type: 'offers' } })
  expect(() => decodeResponse(encoded(65))).toThrow(Malformed)
})

test('a message without a body is malformed', () => {
  expect(() => decodeRequest(new Uint8Array(0))).toThrow(Malformed)
  expect(() => decodeResponse(new Uint8Array(0))).toThrow(Malformed)
})

test.each([
  ['as an asker makes it', '00c0ffee12345678', '00c0ffee12345678'],
  ['the longest', 'f'.repeat(32), 'f'.repeat(32)],
  ['none', '', undefined],
  ['one digit too many', 'f'.repeat(33), undefined],
  ['upper case', 'C0FFEE', undefined],
  ['a line of its own', 'c0ffee\n', undefined],
  ['what a terminal obeys', '\u001b[2Jc0ffee', undefined],
  ['a megabyte', 'f'.repeat(2 ** 20), undefined],
])('the id of a catch-up, %s, is read or counts as none', (_what, catchUp, read) => {
  const request = { id: 1, ...SCOPE, body: { type: 'offers' } } as const
  const expected = read === undefined ? request : { ...request, catchUp: read }
  expect(decodeRequest(encodeRequest({ ...request, catchUp }))).toStrictEqual(expected)
})

test('bytes at random, or messages damaged anywhere, are a message or malformed, never anything else', () => {
  const messages = [
    ...REQUESTS.map((body) => encodeRequest({ id: 5, ...SCOPE, body })),
    ...RESPONSES.map((body) => encodeResponse({ id: 5, body })),
    ...ERRORS.map((error) => encodeResponse({ id: 5, body: { type: 'error', error } })),
    ...MANIFESTS.map((body) => encodeResponse({ id: 5, body })),
  ]
  const damaged = fc
    .tuple(
      fc.constantFrom(...messages),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      fc.nat(3),
    )
    .map(([message, changes, cut]) => {
      const bytes = Uint8Array.from(message)
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      return bytes.subarray(0, bytes.length - cut)
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), damaged), (bytes) => {
      for (const decode of [decodeRequest, decodeResponse]) {
        try {
          decode(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed)
        }
      }
    }),
    { numRuns: 5000 },
  )
})
