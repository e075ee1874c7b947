import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkInteger } from '../bounds.ts'
import { ListenFailed } from '../replica/errors.ts'
import { asError } from '../thrown.ts'
import { type Answer, send, text } from './answer.ts'
import { Connections } from './connections.ts'
import type { Verdict } from './health.ts'
import type { ObservedReplica } from './observed-replica.ts'
import { Assets } from './page/assets.ts'
import { LiveStream } from './page/live-stream.ts'
import { RequestGuard } from './request-guard.ts'
import { Scrapes } from './scrapes.ts'

/** Options of `serveHttp`. */
export interface HttpOptions {
  /** The address to listen on. Default 127.0.0.1: only this machine. `0.0.0.0` and `::` are all of them. */
  readonly host?: string
  /** The TCP port, from 0 to 65,535. Default 0: any free one, which `url` then tells. */
  readonly port?: number
  /**
   * Whether there is the live page, at `/`, beside metrics and health. Default: true. It shows what the replica knows of
   * the group, down to PeerIds and addresses.
   */
  readonly page?: boolean
}

/** The headers of a request, in bytes. Browsers send some 1 KiB. */
const HEADER_BYTES_MAX = 8 * 1024
/** For the whole request to come, in milliseconds. */
const REQUEST_MS_MAX = 5_000
/** A connection that says nothing is closed after this long, in milliseconds. */
const IDLE_MS_MAX = 10_000

const PORT_MAX = 65_535

/** Answers questions about one replica over HTTP, and takes no orders. `serveHttp` makes it. */
export class ReplicaHttpServer implements AsyncDisposable {
  readonly #observed: ObservedReplica
  readonly #server: Server
  readonly #unobserve: () => void
  readonly #assets: Assets | undefined
  readonly #live: LiveStream | undefined
  readonly #connections: Connections
  readonly #scrapes: Scrapes
  #guard: RequestGuard | undefined
  #closed: Promise<void> | undefined

  /** @internal Use `serveHttp`. */
  static async listen(observed: ObservedReplica, { host, port, page }: Required<HttpOptions>) {
    const server = new ReplicaHttpServer(observed, page)
    try {
      await server.#listen(host, port)
    } catch (error) {
      await server.close()
      throw new ListenFailed([{ address: `${host}, port ${port}`, why: asError(error).message }])
    }
    return server
  }

  private constructor(observed: ObservedReplica, page: boolean) {
    this.#observed = observed
    this.#scrapes = new Scrapes(observed.registry)
    this.#assets = page ? new Assets() : undefined
    this.#live = page ? new LiveStream(observed) : undefined
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: REQUEST_MS_MAX,
        requestTimeout: REQUEST_MS_MAX,
        keepAliveTimeout: IDLE_MS_MAX,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => void this.#answer(request, response),
    )
    this.#connections = new Connections(this.#server)
    this.#server.timeout = IDLE_MS_MAX
    this.#unobserve = observed.replica.observe(({ type, detail }) => {
      if (type === 'state' && detail.state === 'stopped') void this.close()
    })
  }

  /** Where it listens, such as `http://127.0.0.1:9464`. */
  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  }

  /** Close every connection, also those with an answer on its way. Resolves when the port is free. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#unobserve()
      this.#live?.close()
      this.#server.close(() => resolve())
      // In the next turn: what was just written, such as the event that the replica stopped, is on its way then.
      setImmediate(() => this.#server.closeAllConnections())
    })
    return this.#closed
  }

  /** The same as `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        // Nothing of a later error, such as too many open files, concerns the replica.
        this.#server.on('error', () => {})
        this.#guard = new RequestGuard((this.#server.address() as AddressInfo).address)
        resolve()
      })
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#connections.asks(request.socket, response)) return
    const answer = await this.#answerTo(request, response).catch((error) => text(500, asError(error).message))
    if (answer === undefined) this.#connections.keep(request.socket)
    else send(request, response, answer)
  }

  /** Undefined for a request that is answered with a stream. */
  async #answerTo(request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    const { method, url = '/' } = request
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'GET and HEAD only')
    const refusal = this.#guard?.refusal(request)
    if (refusal !== undefined) return refusal
    const path = url.split('?', 1)[0]!
    const { health } = this.#observed
    switch (path) {
      case '/metrics':
        // A metric of the application's own can fail.
        return { status: 200, type: this.#scrapes.contentType, body: await this.#scrapes.text() }
      case '/healthz':
        return verdict(health.alive)
      case '/readyz':
        return verdict(health.ready)
      case '/live':
        if (this.#live === undefined) break
        return method === 'HEAD' ? text(200, 'server-sent events') : this.#live.open(request, response)
    }
    return (await this.#assets?.at(path)) ?? text(404, 'there are /metrics, /healthz and /readyz')
  }
}

/**
 * Answer over HTTP: `/` with a live page of this replica and its group, unless `page` is false; `/metrics` for
 * Prometheus; `/healthz`, with 200 unless the replica has halted or was stopped; `/readyz`, with 200 while it is in
 * sync, and otherwise 503 and the reason. The answers tell of errors, and of the members of the group. They hold
 * nothing of the state, and change nothing. Anybody who reaches the port may ask, but on loopback only by a name of
 * loopback, so that no web site can (421). The server closes when the replica stops. Rejects with `ListenFailed`, and
 * with `RangeError` for what is no port.
 *
 * @example
 * ```ts
 * using observed = observeReplica(replica)
 * await using server = await serveHttp(observed, { port: 9464 })
 * console.log(`the live page is ${server.url}/, and metrics are ${server.url}/metrics`)
 * ```
 */
export async function serveHttp(
  observed: ObservedReplica,
  { host = '127.0.0.1', port = 0, page = true }: HttpOptions = {},
): Promise<ReplicaHttpServer> {
  checkInteger('port', port, 0, PORT_MAX)
  if (typeof host !== 'string' || host === '')
    throw new RangeError('host is no address; give one, or leave it out')
  return await ReplicaHttpServer.listen(observed, { host, port, page })
}

function verdict({ ok, text: line }: Verdict): Answer {
  return text(ok ? 200 : 503, line)
}
