import { zstdCompressSync } from 'node:zlib'
import { Uint8ArrayList } from 'uint8arraylist'
import { ChunkWriter } from '../../../snapshot/chunk.ts'
import { HASH_BYTES } from '../../../snapshot/hash.ts'
import { type ChunkInfo, chunkHash } from '../../../snapshot/manifest.ts'
import { BUSY_RETRY_MS_MAX, MANIFEST_PAGE_CHUNKS, RESPONSE_BYTES_MAX } from '../../../sync/limits.ts'
import { Busy } from '../../../sync/wire/errors.ts'
import { encodeFrame } from '../../../sync/wire/frames.ts'
import { encodeResponse, type Request, type RequestBody, type Response } from '../../../sync/wire/messages.ts'

/** An answer as it came. */
export interface Answer extends Response {
  readonly payload?: Uint8Array
}

/** What a liar sends in answer to a request, given what an honest replica answers. */
export type Lie = (
  request: Request,
  honest: AsyncIterable<Answer>,
) => AsyncIterable<Uint8Array | Uint8ArrayList>

export function frameOf({ id, body, payload }: Answer): Uint8ArrayList {
  return encodeFrame({ header: encodeResponse({ id, body }), ...(payload && { payload }) })
}

/** The beginning of a frame of so many bytes. */
export function lengthPrefix(bytes: number): Uint8Array {
  const prefix: number[] = []
  let rest = bytes
  for (; rest > 0x7f; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80)
  return Buffer.from([...prefix, rest])
}

/** Tell the truth, except for requests of one type. */
function lieOf(type: RequestBody['type'], lie: Lie): Lie {
  return async function* (request, honest) {
    if (request.body.type === type) yield* lie(request, honest)
    else for await (const answer of honest) yield frameOf(answer)
  }
}

/** Send other frames in place of each chunk. */
const eachChunk = (frames: (answer: Answer, payload: Uint8Array) => (Uint8Array | Uint8ArrayList)[]): Lie =>
  lieOf('chunks', async function* (_request, honest) {
    for await (const answer of honest) {
      // An honest replica may have to refuse.
      if (answer.payload === undefined) yield frameOf(answer)
      else yield* frames(answer, answer.payload)
    }
  })

export const wrongBytes = eachChunk((answer, honest) => {
  const payload = Uint8Array.from(honest)
  payload[payload.length - 1]! ^= 1
  return [frameOf({ ...answer, payload })]
})

export const shortChunk = eachChunk((answer, payload) => [
  frameOf({ ...answer, payload: payload.subarray(1) }),
])

export const duplicateChunk = eachChunk((answer) => [frameOf(answer), frameOf(answer)])

export const reorderedChunks = lieOf('chunks', async function* (_request, honest) {
  const answers: Answer[] = []
  for await (const answer of honest) answers.unshift(answer)
  yield* answers.map(frameOf)
})

export const oversizedFrame = eachChunk((answer) => [
  lengthPrefix(RESPONSE_BYTES_MAX + 1),
  frameOf(answer).subarray(),
])

export const unaskedChunk = eachChunk((answer) => [
  frameOf({ ...answer, id: answer.id + 1000 }),
  frameOf(answer),
])

/** A few bytes that inflate to this many. */
export function bomb(bytes: number): Lie {
  const payload = zstdCompressSync(Buffer.alloc(bytes))
  return eachChunk(({ id, body }) => {
    const index = body.type === 'chunk' ? body.index : 0
    return [frameOf({ id, body: { type: 'chunk', index, encoding: 'zstd' }, payload })]
  })
}

/** Another state, listed, hashed and served as it should be. */
export function anotherState(items: readonly Uint8Array[], chunkBytes: number): Lie {
  const chunks: Buffer[] = []
  const infos: ChunkInfo[] = []
  const writer = new ChunkWriter(chunkBytes)
  for (const [n, item] of items.entries()) {
    writer.add(item)
    if (!writer.ended && n < items.length - 1) continue
    const { items: count, bytes } = writer.take()
    chunks.push(bytes)
    infos.push({ items: count, bytes: bytes.length, hash: chunkHash(bytes) })
  }
  return async function* ({ id, body }, honest) {
    if (body.type === 'chunks') {
      const end = Math.min(body.first + body.count, chunks.length)
      for (let index = body.first; index < end; index++)
        yield frameOf({ id, body: { type: 'chunk', index, encoding: 'raw' }, payload: chunks[index]! })
    } else {
      for await (const answer of honest) {
        if (answer.body.type !== 'manifest') yield frameOf(answer)
        else
          yield frameOf({
            id,
            body: { ...answer.body, chunks: infos.slice(body.type === 'manifest' ? body.from : 0) },
          })
      }
    }
  }
}

/** It accepts streams and requests, and sends nothing. */
export const silence: Lie = async function* () {}

/** A list of chunks that goes on for ever, page by page; of the chunks there are none yet. */
export const endlessList: Lie = async function* ({ id, body }, honest) {
  if (body.type === 'manifest') {
    const chunks = Array.from({ length: MANIFEST_PAGE_CHUNKS }, (_, n): ChunkInfo => {
      const hash = new Uint8Array(HASH_BYTES)
      new DataView(hash.buffer).setUint32(0, body.from + n)
      return { items: 1, bytes: 16_384, hash }
    })
    yield frameOf({ id, body: { type: 'manifest', chunks, control: undefined } })
  } else if (body.type === 'chunks') {
    yield frameOf({ id, body: { type: 'error', error: new Busy('not yet', BUSY_RETRY_MS_MAX) } })
  } else {
    for await (const answer of honest) yield frameOf(answer)
  }
}

/** A list of chunks that has no more chunks, and no end. */
export const listWithoutEnd = lieOf('manifest', async function* ({ id }) {
  yield frameOf({ id, body: { type: 'manifest', chunks: [], control: undefined } })
})

/** Bytes as a stream takes them. */
export function rawBytes(bytes: Uint8Array | Uint8ArrayList): Uint8ArrayList {
  return bytes instanceof Uint8Array ? new Uint8ArrayList(bytes) : bytes
}
