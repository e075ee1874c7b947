import type { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from '../../src/sync/wire/frames.ts'
import type { SyncNetwork } from '../../src/sync/wire/peers.ts'

/** Unread bytes at which a sender has to wait. */
const WINDOW_BYTES = 64 * 1024

/** One direction of a stream. */
class Pipe {
  readonly #waiting: Uint8Array[] = []
  #bytes = 0
  #ended = false
  #failure: Error | undefined
  #changed = Promise.withResolvers<void>()

  get bytes(): number {
    return this.#bytes
  }

  get ended(): boolean {
    return this.#ended || this.#failure !== undefined
  }

  async send(bytes: Uint8ArrayList | Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#ended) throw new Error('this side of the stream was closed')
    this.#waiting.push(bytes.slice())
    this.#bytes += bytes.byteLength
    this.#notify()
    while (this.#bytes > WINDOW_BYTES && !this.ended) await this.#changed.promise
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when everything was read. */
  async flushed(): Promise<void> {
    while (this.#bytes > 0 && this.#failure === undefined) await this.#changed.promise
    if (this.#failure !== undefined) throw this.#failure
  }

  end(): void {
    this.#ended = true
    this.#notify()
  }

  fail(reason: Error): void {
    this.#failure ??= reason
    this.#notify()
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const next = this.#waiting.shift()
      if (next !== undefined) {
        this.#bytes -= next.byteLength
        this.#notify()
        yield next
      } else if (this.#ended) {
        return
      } else {
        await this.#changed.promise
      }
    }
  }

  #notify(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

/** Two ends of one stream in memory, with back-pressure. */
export function duplexPair(): [ByteStream, ByteStream] {
  const pipes = [new Pipe(), new Pipe()] as const
  const end = (out: Pipe, into: Pipe): ByteStream => ({
    source: into.read(),
    send: (bytes) => out.send(bytes),
    get unsentBytes() {
      return out.bytes
    },
    flushed: () => out.flushed(),
    async close() {
      out.end()
    },
    abort(reason) {
      out.fail(new Error(`the stream was reset: ${reason.message}`))
      into.fail(reason)
    },
  })
  return [end(pipes[0], pipes[1]), end(pipes[1], pipes[0])]
}

/** What befalls a replica that others try to reach. */
export type Reachability = 'up' | 'down' | 'silent'

interface Node {
  serve: (peer: string, stream: ByteStream) => Promise<void>
  reachable: Reachability
}

interface Stream {
  readonly peers: readonly [string, string]
  readonly ends: readonly [ByteStream, ByteStream]
}

/** A network in memory: who is known by an id can be dialled. */
export class MemoryNetwork {
  readonly #nodes = new Map<string, Node>()
  readonly #streams = new Set<Stream>()

  /** Join as `id`. */
  join(id: string): SyncNetwork & { serveWith(serve: Node['serve']): void } {
    const node: Node = { serve: async () => {}, reachable: 'up' }
    this.#nodes.set(id, node)
    return {
      self: id,
      serveWith: (serve) => {
        node.serve = serve
      },
      dial: (peer, _addresses, signal) => this.#dial(id, peer, signal),
    }
  }

  /** From now on `id` is up again, refuses to be dialled, or never answers a dial. Open streams stay. */
  turn(id: string, reachable: Reachability): void {
    this.#nodes.get(id)!.reachable = reachable
  }

  /** Refuse to be dialled, and break every stream, as when a process dies. */
  kill(id: string): void {
    this.turn(id, 'down')
    for (const { peers, ends } of this.#streams) {
      if (peers.includes(id)) for (const end of ends) end.abort(new Error(`${id} died`))
    }
  }

  /** Streams whose serving side has not ended. */
  get open(): number {
    return this.#streams.size
  }

  async #dial(from: string, to: string, signal: AbortSignal): Promise<ByteStream> {
    const node = this.#nodes.get(to)
    if (node?.reachable === 'silent') {
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
    if (node?.reachable !== 'up') throw new Error(`${to} refused the connection`)
    const ends = duplexPair()
    const stream = { peers: [from, to], ends } as const
    this.#streams.add(stream)
    const serving = node.serve(from, ends[1]).catch(() => {})
    void serving.finally(() => this.#streams.delete(stream))
    return ends[0]
  }
}
