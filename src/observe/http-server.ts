import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkInteger } from '../bounds.ts'
import { ListenFailed } from '../replica/errors.ts'
import { asError } from '../thrown.ts'
import type { Verdict } from './health.ts'
import type { ObservedReplica } from './observed-replica.ts'

export interface HttpOptions {
  /** The address to listen on. Default 127.0.0.1: only this machine. `0.0.0.0` and `::` are all of them. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
}

/** Connections at once. Prometheus, a load balancer and an operator need one each. */
const CONNECTIONS_MAX = 64
/** The headers of a request, in bytes. Browsers send some 1 KiB. */
const HEADER_BYTES_MAX = 8 * 1024
/** For the whole request to come, in milliseconds. */
const REQUEST_MS_MAX = 5_000
/** A connection that says nothing is closed after this long, in milliseconds. */
const IDLE_MS_MAX = 10_000

const TEXT = 'text/plain; charset=utf-8'
const PORT_MAX = 65_535

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Answers questions about one replica over HTTP, and takes no orders. `serveHttp` makes it. */
export class ReplicaHttpServer implements AsyncDisposable {
  readonly #observed: ObservedReplica
  readonly #server: Server
  readonly #unobserve: () => void
  #closed: Promise<void> | undefined

  /** @internal Use `serveHttp`. */
  static async listen(observed: ObservedReplica, { host, port }: Required<HttpOptions>) {
    const server = new ReplicaHttpServer(observed)
    try {
      await server.#listen(host, port)
    } catch (error) {
      await server.close()
      throw new ListenFailed([{ address: `${host}, port ${port}`, why: asError(error).message }])
    }
    return server
  }

  private constructor(observed: ObservedReplica) {
    this.#observed = observed
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
    this.#server.maxConnections = CONNECTIONS_MAX
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
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
    return this.#closed
  }

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
        resolve()
      })
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body } = await this.#answerTo(request)
    // No browser runs or keeps what is in an answer.
    const headers = {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      ...(status === 405 && { allow: 'GET, HEAD' }),
    }
    response.writeHead(status, headers)
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  async #answerTo({ method, url = '/' }: IncomingMessage): Promise<Answer> {
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'GET and HEAD only')
    const { health, registry } = this.#observed
    switch (url.split('?', 1)[0]) {
      case '/metrics':
        try {
          return { status: 200, type: registry.contentType, body: await registry.metrics() }
        } catch (error) {
          // A metric of the application's own can fail.
          return text(500, asError(error).message)
        }
      case '/healthz':
        return verdict(health.alive)
      case '/readyz':
        return verdict(health.ready)
      default:
        return text(404, 'there are /metrics, /healthz and /readyz')
    }
  }
}

/**
 * Answer over HTTP: `/metrics` for Prometheus; `/healthz`, with 200 unless the replica has halted or was stopped;
 * `/readyz`, with 200 while it is in sync, and otherwise 503 and the reason. The answers tell of errors, and of the
 * members of the group. They hold nothing of the state. Anybody who reaches the port may ask. The server closes when
 * the replica stops. Rejects with `ListenFailed`, and with `RangeError` for what is no port.
 *
 * @example
 * ```ts
 * using observed = observeReplica(replica)
 * await using server = await serveHttp(observed, { port: 9464 })
 * console.log(`${server.url}/metrics`)
 * ```
 */
export async function serveHttp(
  observed: ObservedReplica,
  { host = '127.0.0.1', port = 0 }: HttpOptions = {},
): Promise<ReplicaHttpServer> {
  checkInteger('port', port, 0, PORT_MAX)
  if (typeof host !== 'string' || host === '')
    throw new RangeError('host is no address; give one, or leave it out')
  return await ReplicaHttpServer.listen(observed, { host, port })
}

function verdict({ ok, text: line }: Verdict): Answer {
  return text(ok ? 200 : 503, line)
}

function text(status: number, line: string): Answer {
  return { status, type: TEXT, body: `${line}\n` }
}
