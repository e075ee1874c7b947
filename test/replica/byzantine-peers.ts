import type { Connection, Stream } from '@libp2p/interface'
import type { LogBackend } from '../../src/log/log.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { byteStream } from '../../src/sync/libp2p.ts'
import { REQUEST_BYTES_MAX } from '../../src/sync/limits.ts'
import { decodeFrames } from '../../src/sync/wire/frames.ts'
import { decodeRequest, type Request } from '../../src/sync/wire/messages.ts'
import { type Answer, frameOf, type Lie } from '../../src/testing/simulation/hostile/lies.ts'
import { HostilePeer, PROTOCOL, type SpokenStream } from './hostile.ts'

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

/** The truth, once `until` resolves, where chunks are asked for. */
export function withheld(until: Promise<unknown>, onAsked: () => void): Lie {
  return async function* (request, honest) {
    if (request.body.type === 'chunks') {
      onAsked()
      await until
    }
    for await (const answer of honest) yield frameOf(answer)
  }
}
