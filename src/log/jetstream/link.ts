import { readFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import {
  JetStreamApiError,
  JetStreamError,
  type JetStreamManager,
  jetstreamManager,
} from '@nats-io/jetstream'
import {
  type Authenticator,
  AuthorizationError,
  ConnectionError,
  connect,
  createInbox,
  type NatsConnection,
  type NodeConnectionOptions,
  NoRespondersError,
  errors as natsErrors,
  PermissionViolationError,
  RequestError,
  TimeoutError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node'
import { tellListener } from '../../listener-warning.ts'
import { LogClosed, LogError, LogRefused, LogUnavailable } from '../errors.ts'
import type { LogConnection, SignalOptions } from '../log.ts'
import { parseServers } from './servers.ts'

export interface LinkOptions {
  readonly servers: string | readonly string[]
  readonly connection?: Omit<NodeConnectionOptions, 'servers'>
  readonly domain?: string
  /** The stream that is asked about, for messages. */
  readonly stream?: string
}

type TlsOptions = NodeConnectionOptions['tls']

/** How long a first connection is looked for. */
const CONNECT_MS = 10_000
/** How long an operation waits for servers that answer: those that are left need ten seconds to elect a leader. */
const PATIENCE_MS = 30_000
/** How long one request waits for its answer. */
const REQUEST_MS = 2_000
/** Pauses between two tries, doubled each time. */
const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 2_000
/** A server that does not answer so many pings is left: a cut cable is not told to anybody. */
const PING_MS = 3_000
const PINGS_MAX = 2

/** JetStream's status for what may be had later. */
export const UNAVAILABLE = 503
const PASSING = [ConnectionError, TimeoutError, RequestError, NoRespondersError]
/** What JetStream answers for a reason that may pass, besides status 503. */
const PASSING_CODES = new Set([
  10_008 /* JetStream is temporarily unavailable */, 10_009 /* a peer is not current */, 10_010,
  10_023 /* insufficient resources, while a leader is elected */, 10_118 /* the stream is offline */,
  10_158 /* an earlier copy of the message is on its way into the stream */, 10_167 /* too many requests */,
])

interface LinkInit {
  readonly nc: NatsConnection
  readonly jsm: JetStreamManager
  readonly api: string
  readonly inbox: () => string
  readonly pause: Pause
  readonly servers: string
  readonly stream: string | undefined
}

/** The connection to the servers, whichever of them it is at the moment, and whether there is one. */
export class Link implements LogConnection {
  readonly #stream: string | undefined
  /** All that were given, without passwords. */
  readonly #servers: string
  #maxPayload = 0
  readonly nc: NatsConnection
  readonly jsm: JetStreamManager
  /** What the subjects of JetStream's API begin with. */
  readonly api: string
  /** A new subject to receive answers on. */
  readonly inbox: () => string
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #onRefused = new Set<(error: PermissionViolationError) => void>()
  readonly #closing = new AbortController()
  /** There is a connection, to one server at least. */
  #linked = true
  /** Whether those who can be reached are enough to answer: with the majority gone they are not. */
  #answers = true
  #lost = Promise.withResolvers<never>()

  static async open(options: LinkOptions, { signal }: SignalOptions = {}): Promise<Link> {
    const { servers, connection, domain, stream } = options
    const pause = new Pause()
    const parsed = parseServers(servers)
    const tls = connection?.tls ?? parsed.tls
    const nats: NodeConnectionOptions = {
      pingInterval: PING_MS,
      maxPingOut: PINGS_MAX,
      timeout: REQUEST_MS,
      ...parsed,
      ...connection,
      ...(tls && { tls: withFilesRead(tls) }),
      ...(connection?.authenticator && { authenticator: [connection.authenticator].flat().map(unfailing) }),
      // It is the operator who ends a replica, not an outage, however long, nor a password that is being changed.
      reconnect: true,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectDelayHandler: () => pause.nextMs(),
    }
    const all = [parsed.servers ?? []].flat().map(urlOf).join(',')
    const opening: Patience = { place: () => placeOf(all, stream), ...(signal && { signal }) }
    const nc = await patiently(CONNECT_MS, opening, () => connect(nats))
    try {
      const jsm = await patiently(PATIENCE_MS, opening, () =>
        jetstreamManager(nc, { timeout: REQUEST_MS, ...(domain !== undefined && { domain }) }),
      )
      const api = domain === undefined ? '$JS.API' : `$JS.${domain}.API`
      const inbox = () => createInbox(connection?.inboxPrefix)
      return new Link({ nc, jsm, api, inbox, pause, servers: all, stream })
    } catch (error) {
      await nc.close()
      throw error
    }
  }

  private constructor(init: LinkInit) {
    const { nc, jsm, api, inbox, pause, servers, stream } = init
    this.nc = nc
    this.jsm = jsm
    this.api = api
    this.inbox = inbox
    this.#servers = servers
    this.#stream = stream
    this.#lost.promise.catch(() => {})
    this.#listen(pause).catch((error) => this.#gaveUp(error))
  }

  /** The stream, and the server that is asked for it now, or all while there is none. For messages: without passwords. */
  get place(): string {
    return placeOf(
      this.#linked && this.nc.getServer() ? urlOf(this.nc.getServer()) : this.#servers,
      this.#stream,
    )
  }

  /** The largest message that the server takes, in bytes; while there is none, what the one before took. */
  get maxPayload(): number {
    this.#maxPayload = this.nc.info?.max_payload ?? this.#maxPayload
    return this.#maxPayload
  }

  get connected(): boolean {
    return this.#linked && this.#answers
  }

  /** There is a connection, whether or not anybody answers: then it is worth asking. */
  get linked(): boolean {
    return this.#linked
  }

  /** Somebody has asked, for a while, and was answered or not. */
  answers(answers: boolean): void {
    this.#change(this.#linked, answers)
  }

  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** `listener` is called when the servers do not allow something that nobody waits for the answer of. */
  onRefused(listener: (error: PermissionViolationError) => void): () => void {
    this.#onRefused.add(listener)
    return () => this.#onRefused.delete(listener)
  }

  /** Resolves when there is a connection, at once if there is. Rejects when the signal aborts or the link closes. */
  async whenConnected(signal?: AbortSignal): Promise<void> {
    const ends = any(signal, this.#closing.signal)
    ends.throwIfAborted()
    if (this.connected) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const off = this.onChange((connected) => connected && resolve())
    const onAbort = () => reject(ends.reason)
    ends.addEventListener('abort', onAbort)
    try {
      await promise
    } finally {
      off()
      ends.removeEventListener('abort', onAbort)
    }
  }

  /**
   * What `request` answers; it is made again, for half a minute, while no server answers it. Then `LogUnavailable`. For requests
   * that may be made twice.
   */
  async ask<T>(request: (jsm: JetStreamManager) => Promise<T>, { signal }: SignalOptions = {}): Promise<T> {
    const ends = any(signal, this.#closing.signal)
    return await patiently(PATIENCE_MS, { place: () => this.place, signal: ends }, () => {
      if (!this.#linked) throw new LogUnavailable('there is no connection')
      return Promise.race([request(this.jsm), this.#lost.promise])
    })
  }

  async close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    // What ends with this is unsubscribed now. On a connection that has just ended too, that is an error of its socket, for which
    // nobody listens any more once the client is closed: it would end the process. So it comes first.
    await new Promise(setImmediate)
    await this.nc.close()
  }

  async #listen(pause: Pause): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') this.#change(false, this.#answers)
      else if (status.type === 'reconnect') {
        pause.reset()
        this.#change(true, this.#answers)
      } else if (status.type === 'error' && status.error instanceof PermissionViolationError) {
        this.#tell(this.#onRefused, status.error)
      }
    }
    this.#gaveUp(await this.nc.closed())
  }

  /** The client has closed: because it was told to, or because of an error that it does not try to overcome. */
  #gaveUp(cause: unknown): void {
    this.#change(false, this.#answers)
    if (this.#closing.signal.aborted) return
    const why = `the client gave up${cause instanceof Error ? `: ${cause.message}` : ''}`
    this.#closing.abort(new LogUnavailable(why, { place: this.place, cause }))
  }

  #change(linked: boolean, answers: boolean): void {
    const before = this.connected
    if (linked && !this.#linked) {
      this.#lost = Promise.withResolvers()
      this.#lost.promise.catch(() => {})
    } else if (!linked) this.#lost.reject(new LogUnavailable('the connection was lost'))
    this.#linked = linked
    this.#answers = answers
    if (this.connected === before) return
    this.#tell(this.#listeners, this.connected)
  }

  /** A listener that throws is the fault of its owner: the others are told all the same. */
  #tell<T>(listeners: Iterable<(value: T) => void>, value: T): void {
    for (const listener of [...listeners]) tellListener(listener, value)
  }
}

/** A pause that doubles, and is a little different for everybody, so that not all come back at once. */
export class Pause {
  #ms = PAUSE_MS_MIN

  nextMs(): number {
    const ms = this.#ms
    this.#ms = Math.min(2 * ms, PAUSE_MS_MAX)
    return ms * (0.5 + Math.random() / 2)
  }

  reset(): void {
    this.#ms = PAUSE_MS_MIN
  }

  /** Resolves after the next pause, or when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const onAbort = () => resolve()
    const timer = setTimeout(resolve, this.nextMs())
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) resolve()
    await promise
    signal.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }
}

/** The client closes for good when an authenticator throws. What it then gives is refused, and it is asked again. */
function unfailing(authenticator: Authenticator): Authenticator {
  return (nonce) => {
    try {
      return authenticator(nonce)
    } catch {
      return
    }
  }
}

/**
 * The client reads these files between the server's first words and the handshake. Nobody listens for errors of the socket then,
 * and a connection that is reset in that moment would end the process. Read at once, there is no such moment; and each connection
 * reads them anew, since certificates are renewed.
 */
function withFilesRead(tls: NonNullable<TlsOptions>): NonNullable<TlsOptions> {
  const { caFile, certFile, keyFile, ...others } = tls
  for (const [name, file] of Object.entries({ ca: caFile, cert: certFile, key: keyFile })) {
    if (file === undefined) continue
    const path = resolvePath(file)
    Object.defineProperty(others, name, { enumerable: true, get: () => readFileSync(path, 'utf8') })
  }
  return others
}

function urlOf(host: string): string {
  return `nats://${host}`
}

function placeOf(servers: string, stream: string | undefined): string {
  return stream === undefined ? servers : `stream ${stream} at ${servers}`
}

/** One signal for both. */
export function any(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return signal === undefined ? other : AbortSignal.any([signal, other])
}

/** The server's own error code, of an error that JetStream answered. */
export function codeOf(error: unknown): number | undefined {
  const answered = error instanceof LogRefused ? error.cause : error
  return answered instanceof JetStreamApiError ? answered.code : undefined
}

/** Whether what JetStream answered may be otherwise in a moment: it has no leader, say. */
export function isPassing({ status, code }: { readonly status: number; readonly code: number }): boolean {
  return status === UNAVAILABLE || PASSING_CODES.has(code)
}

interface Patience {
  readonly place: () => string
  readonly signal?: AbortSignal
}

async function patiently<T>(
  patienceMs: number,
  { place, signal }: Patience,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + patienceMs
  const ends = any(signal, AbortSignal.timeout(patienceMs))
  const pause = new Pause()
  for (;;) {
    signal?.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      signal?.throwIfAborted()
      const refusal = refusalOf(error, place())
      if (refusal !== undefined) throw refusal
      if (!mayPass(error)) throw error
      if (performance.now() >= deadline) {
        const why = error instanceof LogUnavailable ? error.why : (error as Error).message
        throw new LogUnavailable(why, { cause: error, place: place() })
      }
    }
    await pause.wait(ends)
  }
}

/** What an error means that trying again does not change; undefined for others. */
function refusalOf(error: unknown, place: string): LogRefused | undefined {
  if (!(error instanceof Error) || error instanceof LogError) return undefined
  const { message, code } = error as NodeJS.ErrnoException
  const options = { cause: error, place }
  if (typeof code === 'string' && /CERT|TLS|SSL|VERIFY/.test(code)) {
    return new LogRefused(`the log's servers are not trusted: ${message}`, options)
  }
  if (isRefusal(error) || (isOfClient(error) && !mayPass(error))) {
    return new LogRefused(`the log's servers refuse: ${message}`, options)
  }
  return undefined
}

function isRefusal(error: Error): boolean {
  return [AuthorizationError, UserAuthenticationExpiredError, PermissionViolationError].some(
    (kind) => error instanceof kind || error.cause instanceof kind,
  )
}

/** JetStream's answer, or an error of the NATS client's own. */
function isOfClient(error: Error): boolean {
  return [JetStreamApiError, JetStreamError, ...Object.values(natsErrors)].some(
    (kind) => error instanceof kind,
  )
}

/** No answer, or the answer of a JetStream that has no leader at the moment. */
function mayPass(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return isPassing(error)
  if (!(error instanceof Error)) return false
  const isSystemError = 'code' in error && typeof error.code === 'string'
  // Also a server that does not run JetStream says so, and one of its neighbours may.
  const isOneOf = [...PASSING, LogUnavailable].some((kind) => error instanceof kind)
  return isSystemError || isOneOf || error.name === 'JetStreamNotEnabled'
}
