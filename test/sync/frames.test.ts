import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { RESPONSE_BYTES_MAX } from '../../src/sync/limits.ts'
import { Malformed } from '../../src/sync/wire/errors.ts'
import { decodeFrames, encodeFrame, type Frame, FrameTooLong } from '../../src/sync/wire/frames.ts'

const BYTES_MAX = 1000

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

async function decode(bytes: Uint8Array, pieceBytes = bytes.length || 1): Promise<Frame[]> {
  return await Array.fromAsync(decodeFrames(inPieces(bytes, pieceBytes), BYTES_MAX))
}

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')
const comparable = ({ header, payload }: Frame) => [hex(header), hex(payload)]
const bytesOf = (frames: readonly Frame[]) =>
  new Uint8ArrayList(...frames.map((frame) => encodeFrame(frame))).subarray()

const frame: fc.Arbitrary<Frame> = fc.record(
  { header: fc.uint8Array({ maxLength: 300 }), payload: fc.uint8Array({ minLength: 1, maxLength: 300 }) },
  { requiredKeys: ['header'] },
)

test('frames come back as they were, however the stream was cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { maxLength: 5 }),
      fc.integer({ min: 1, max: 700 }),
      async (frames, size) => {
        expect((await decode(bytesOf(frames), size)).map(comparable)).toEqual(frames.map(comparable))
      },
    ),
    { numRuns: 200 },
  )
})

test('a stream that ends within a frame is malformed, and the frames before it were read', async () => {
  const whole = bytesOf([{ header: Buffer.from('first') }, { header: Buffer.alloc(300) }])
  const firstBytes = encodeFrame({ header: Buffer.from('first') }).byteLength
  // A stream may end between frames; and it-length-prefixed takes a length with nothing behind it for an end.
  const lengthBytes = 2
  for (let end = firstBytes + 1; end < whole.length; end++) {
    if (end === firstBytes + lengthBytes) continue
    const read: Frame[] = []
    const reading = async () => {
      for await (const each of decodeFrames(inPieces(whole.subarray(0, end), 7), BYTES_MAX)) read.push(each)
    }
    await expect(reading(), `at ${end}`).rejects.toThrow(Malformed)
    expect(read.map(comparable)).toEqual([[hex(Buffer.from('first')), undefined]])
  }
})

test('the longest frame allowed is read, one byte more is malformed', async () => {
  const headBytes = 2
  const longest = { header: Buffer.alloc(BYTES_MAX - headBytes) }
  expect((await decode(bytesOf([longest]))).map(comparable)).toEqual([longest].map(comparable))
  await expect(decode(bytesOf([{ header: Buffer.alloc(BYTES_MAX - headBytes + 1) }]))).rejects.toThrow(
    Malformed,
  )
})

test.each([
  ["4 MiB, the codec's own limit", 4 * 1024 * 1024],
  ['4 MiB and a byte', 4 * 1024 * 1024 + 1],
  ['as much as an answer may have', RESPONSE_BYTES_MAX],
])('a frame of %s is written and read', async (_what, bytes) => {
  const header = Buffer.from('header')
  const payload = new Uint8Array(bytes - header.length - 1).fill(7)
  const encoded = encodeFrame({ header, payload })
  const source = inPieces(encoded.subarray(), 1024 * 1024)
  const [frame] = await Array.fromAsync(decodeFrames(source, RESPONSE_BYTES_MAX))
  expect([hex(frame?.header.slice()), frame?.payload?.byteLength]).toEqual([hex(header), payload.length])
})

test('a frame that its receiver would refuse is not made', () => {
  const payload = new Uint8Array(RESPONSE_BYTES_MAX - 1)
  expect(() => encodeFrame({ header: Buffer.from('h'), payload })).toThrow(FrameTooLong)
  expect(encodeFrame({ header: Buffer.alloc(99) }, 100).byteLength).toBe(101)
  const tooLong = { name: 'FrameTooLong', bytes: 101, bytesMax: 100 }
  expect(() => encodeFrame({ header: Buffer.alloc(100) }, 100)).toThrow(expect.objectContaining(tooLong))
})

test('a frame that is announced as too long is refused before its bytes are waited for', async () => {
  const announced = Buffer.from([0xff, 0xff, 0xff, 0x7f])
  async function* neverMore() {
    yield announced
    await new Promise<never>(() => {})
  }
  await expect(decodeFrames(neverMore(), BYTES_MAX).next()).rejects.toThrow(Malformed)
})

test.each([
  ['an empty frame', [0]],
  ['a header that is longer than its frame', [2, 2, 1]],
  ['a header length that does not end', [6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ['a frame length that does not end', new Array(12).fill(0xff)],
])('%s is malformed', async (_what, bytes) => {
  await expect(decode(Uint8Array.from(bytes))).rejects.toThrow(Malformed)
})

test('an error of the stream itself is passed on as it is', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(5)
    throw new Error('connection reset')
  }
  await expect(decodeFrames(broken(), BYTES_MAX).next()).rejects.toThrow('connection reset')
})

test('a reader that leaves ends the stream', async () => {
  let ended = false
  async function* source() {
    try {
      for (;;) yield encodeFrame({ header: Buffer.from('again') })
    } finally {
      ended = true
    }
  }
  for await (const _frame of decodeFrames(source(), BYTES_MAX)) break
  expect(ended).toBe(true)
})

test('bytes at random are frames or malformed, never anything else', async () => {
  const random = fc.uint8Array({ maxLength: 60 })
  const damaged = fc
    .tuple(frame, fc.nat(), fc.nat(255))
    .map(([one, at, byte]) => ((bytes) => bytes.with(at % bytes.length, byte))(bytesOf([one])))
  await fc.assert(
    fc.asyncProperty(fc.oneof(random, damaged), fc.integer({ min: 1, max: 20 }), async (bytes, size) => {
      try {
        await decode(bytes, size)
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed)
      }
    }),
    { numRuns: 1500 },
  )
})
