import { zstdCompressSync } from 'node:zlib'
import type { Connection, Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { LogBackend } from '../../src/log/log.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { ChunkWriter } from '../../src/snapshot/chunk.ts'
import { HASH_BYTES } from '../../src/snapshot/hash.ts'
import { type ChunkInfo, chunkHash } from '../../src/snapshot/manifest.ts'
import { byteStream } from '../../src/sync/libp2p.ts'
import {
  BUSY_RETRY_MS_MAX,
  MANIFEST_PAGE_CHUNKS,
  REQUEST_BYTES_MAX,
  RESPONSE_BYTES_MAX,
} from '../../src/sync/limits.ts'
import { Busy } from '../../src/sync/wire/errors.ts'
import { decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import {
  decodeRequest,
  encodeResponse,
  type Request,
  type RequestBody,
} from '../../src/sync/wire/messages.ts'
import { type Answer, HostilePeer, lengthPrefix, PROTOCOL, type SpokenStream } from './hostile.ts'

/** What a liar sends in answer to a request, given what an honest replica answers. */
export type Lie = (
  request: Request,
  honest: AsyncIterable<Answer>,
) => AsyncIterable<Uint8Array | Uint8ArrayList>

/** A member that says it serves, and tells what an honest replica tells it, but for its lie. */
export class Liar implements AsyncDisposable {
  readonly peer: HostilePeer
  readonly #honest: Replica<number>
  readonly #lie: Lie
  readonly #serving = new Set<Promise<unknown>>()
  /** Streams that were opened to it. */
  opened = 0

  private constructor(peer: HostilePeer, honest: Replica<number>, lie: Lie) {
    this.peer = peer
    this.#honest = honest
    this.#lie = lie
  }

  static async start(backend: LogBackend, honest: Replica<number>, lie: Lie): Promise<Liar> {
    // It follows, and is not in sync: so it is in no electorate.
    const { index } = honest.position
    const peer = await HostilePeer.member(backend, { state: 'following', applied: index })
    const liar = new Liar(peer, honest, lie)
    await peer.node.handle(PROTOCOL, (stream: Stream, connection: Connection) => {
      if (connection.remotePeer.toString() === honest.id) return
      liar.opened++
      const served = liar.#serve(stream).catch((error: Error) => stream.abort(error))
      liar.#serving.add(served)
      void served.then(() => liar.#serving.delete(served))
    })
    return liar
  }

  get id(): string {
    return this.peer.id
  }

  async #serve(raw: Stream): Promise<void> {
    const stream = byteStream(raw, REQUEST_BYTES_MAX)
    const upstream = await this.peer.open(this.#honest)
    try {
      for await (const { header } of decodeFrames(stream.source, REQUEST_BYTES_MAX)) {
        const request = decodeRequest(header)
        for await (const bytes of this.#lie(request, relayed(upstream, request))) raw.send(bytes)
      }
      await stream.close()
    } finally {
      upstream.raw.abort(new Error('whoever asked has left'))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]()
    await Promise.all(this.#serving)
  }
}

/** The answers of an honest replica to a request, as answers to who asked. */
async function* relayed(upstream: SpokenStream, { id, body }: Request): AsyncGenerator<Answer> {
  upstream.send(body)
  const count = body.type === 'chunks' ? body.count : 1
  for (let n = 0; n < count; n++) {
    const answer = await upstream.next()
    if (answer === undefined) return
    yield { ...answer, id }
    if (answer.body.type === 'error') return
  }
}

export function frameOf({ id, body, payload }: Answer): Uint8ArrayList {
  return encodeFrame({ header: encodeResponse({ id, body }), ...(payload && { payload }) })
}

/** Tell the truth, except for requests of one type. */
function lieOf(type: RequestBody['type'], lie: Lie): Lie {
  return async function* (request, honest) {
    if (request.body.type === type) yield* lie(request, honest)
    else for await (const answer of honest) yield frameOf(answer)
  }
}

/** Send other frames in place of each chunk. */
const eachChunk = (frames: (answer: Answer) => (Uint8Array | Uint8ArrayList)[]): Lie =>
  lieOf('chunks', async function* (_request, honest) {
    for await (const answer of honest) yield* frames(answer)
  })

export const wrongBytes = eachChunk((answer) => {
  const payload = Uint8Array.from(answer.payload!)
  payload[payload.length - 1]! ^= 1
  return [frameOf({ ...answer, payload })]
})

export const shortChunk = eachChunk((answer) => [
  frameOf({ ...answer, payload: answer.payload!.subarray(1) }),
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

/** A few KiB that inflate to 64 MiB. */
export function bomb(): Lie {
  const payload = zstdCompressSync(Buffer.alloc(64 << 20))
  return eachChunk(({ id, body }) => {
    const index = body.type === 'chunk' ? body.index : 0
    return [frameOf({ id, body: { type: 'chunk', index, encoding: 'zstd' }, payload })]
  })
}

/** Another state, listed, hashed and served as it should be. */
export function anotherState(lines: readonly string[], chunkBytes: number): Lie {
  const chunks: Buffer[] = []
  const infos: ChunkInfo[] = []
  const writer = new ChunkWriter(chunkBytes)
  for (const [n, line] of lines.entries()) {
    writer.add(Buffer.from(line))
    if (!writer.ended && n < lines.length - 1) continue
    const { items, bytes } = writer.take()
    chunks.push(bytes)
    infos.push({ items, bytes: bytes.length, hash: chunkHash(bytes) })
  }
  return async function* ({ id, body }, honest) {
    if (body.type === 'chunks') {
      for (let index = body.first; index < body.first + body.count; index++) {
        yield frameOf({ id, body: { type: 'chunk', index, encoding: 'raw' }, payload: chunks[index]! })
      }
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

/** The truth, once `until` resolves. */
export function withheld(until: Promise<unknown>, onAsked: () => void): Lie {
  return lieOf('chunks', async function* (_request, honest) {
    onAsked()
    await until
    for await (const answer of honest) yield frameOf(answer)
  })
}
