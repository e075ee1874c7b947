import * as lp from 'it-length-prefixed'
import { Uint8ArrayList } from 'uint8arraylist'
import { AnchorageError } from '../../errors.ts'
import { RESPONSE_BYTES_MAX } from '../limits.ts'
import { Malformed } from './errors.ts'

/**
 * A duplex stream of bytes, as the sync core sees it. `libp2p.ts` makes one from a libp2p stream; tests make
 * one from a pair in memory.
 */
export interface ByteStream {
  /**
   * The bytes that the other side sends. Unread bytes hold the sender back. It ends when the other side
   * closes.
   */
  readonly source: AsyncIterable<Uint8Array | Uint8ArrayList>
  /** Resolves when more may be sent. Rejects if the stream is broken. */
  send(bytes: Uint8ArrayList): Promise<void>
  /** Bytes that were sent and still wait on this side. */
  readonly unsentBytes: number
  /** Resolves when none of the sent bytes wait on this side any more. Rejects if the stream is broken. */
  flushed(): Promise<void>
  /** End this side, after what was sent. */
  close(): Promise<void>
  /** End both sides at once. */
  abort(reason: Error): void
}

/** Bytes that lie in one piece, or in several. */
export type Payload = Uint8Array | Uint8ArrayList

/** A message's bytes, and the raw bytes that travel with it. */
export interface Frame {
  readonly header: Uint8Array
  readonly payload?: Uint8Array
}

const VARINT_BYTES_MAX = 5

/** The stream ended within a frame. Its sender may have died. */
export class CutShort extends Malformed {}

/** The receiver would refuse this frame. Nothing of it was sent. */
export class FrameTooLong extends AnchorageError {
  static override readonly code = 'FRAME_TOO_LONG'
  override readonly name = 'FrameTooLong'
  readonly bytes: number
  readonly bytesMax: number
  constructor(bytes: number, bytesMax: number) {
    super(`a frame of ${bytes} bytes is longer than its receiver reads, which is up to ${bytesMax}`)
    this.bytes = bytes
    this.bytesMax = bytesMax
  }
}

/**
 * Encodes a frame. Throws `FrameTooLong` if it has more than `bytesMax` bytes, the limit of `decodeFrames` on
 * the other side.
 */
export function encodeFrame(
  frame: { readonly header: Uint8Array; readonly payload?: Payload },
  bytesMax: number = RESPONSE_BYTES_MAX,
): Uint8ArrayList {
  // The codec's own limit, 4 MiB by default, is below the size of a chunk.
  const options = { maxDataLength: Number.POSITIVE_INFINITY }
  const head = lp.encode.single(frame.header, options)
  const body = frame.payload === undefined ? head : new Uint8ArrayList(head, frame.payload)
  if (body.byteLength > bytesMax) throw new FrameTooLong(body.byteLength, bytesMax)
  return lp.encode.single(body, options)
}

/**
 * The frames of a stream. It ends with `Malformed` if bytes are no frame, or a frame is longer than allowed.
 */
export async function* decodeFrames(
  source: AsyncIterable<Uint8Array | Uint8ArrayList>,
  bytesMax: number,
): AsyncGenerator<Frame> {
  const frames = lp.decode(source, { maxDataLength: bytesMax, maxLengthLength: VARINT_BYTES_MAX })
  const iterator = frames[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await iterator.next().catch((cause: Error) => {
        if (cause.name === 'UnexpectedEOFError')
          throw new CutShort('a stream ended within a frame', { cause })
        throw isLengthError(cause)
          ? new Malformed(`not a frame of this protocol: ${cause.message}`, { cause })
          : cause
      })
      if (next.done) return
      yield splitFrame(next.value)
    }
  } finally {
    await iterator.return?.(undefined)
  }
}

const LENGTH_ERRORS = new Set([
  'InvalidDataLengthError',
  'InvalidDataLengthLengthError',
  'InvalidMessageLengthError',
])

function isLengthError(error: Error): boolean {
  return LENGTH_ERRORS.has(error.name)
}

function splitFrame(frame: Uint8ArrayList): Frame {
  let length = 0
  let at = 0
  for (let scale = 1; ; scale *= 128) {
    if (at >= frame.byteLength || at >= VARINT_BYTES_MAX)
      throw new Malformed('a frame ends before its header')
    const byte = frame.get(at++)
    length += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  if (at + length > frame.byteLength) throw new Malformed('a frame ends within its header')
  const header = frame.subarray(at, at + length)
  return at + length === frame.byteLength ? { header } : { header, payload: frame.subarray(at + length) }
}
