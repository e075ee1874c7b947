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
import { AnchorageError } from '../../errors.ts'
import { tellListener } from '../../listener-warning.ts'
import { asError } from '../../thrown.ts'
import { type Clock, Deadline, systemClock } from '../../time/clock.ts'
import { LogClosed, LogError, LogRefused, LogUnavailable } from '../errors.ts'
import type { LogConnection, SignalOptions } from '../log.ts'
import { any, Pause } from '../pause.ts'
import { whenConnected } from '../when-connected.ts'
import { parseServers } from './servers.ts'

export interface LinkOptions {
  readonly servers: string | readonly string[]
  readonly connection?: Omit<NodeConnectionOptions, 'servers'>
  readonly domain?: string
  /** The stream that messages name. */
  readonly stream?: string
  /** What tells whether something is late, here and for all who use the connection. Default: the system's. */
  readonly clock?: Clock
}

type TlsOptions = NodeConnectionOptions['tls']

/** How long the first connection may take, in milliseconds. */
const CONNECT_MS = 10_000
/**
 * How long an operation waits for servers that answer, in milliseconds. After the loss of a server the others
 * need up to ten seconds to elect a leader.
 */
const PATIENCE_MS = 30_000
/** How long one request waits for its answer, in milliseconds. */
const REQUEST_MS = 2_000
/** Time between two pings, in milliseconds. They are needed because a cut cable is not reported. */
const PING_MS = 3_000
/** The client leaves a server that does not answer this many pings. */
const PINGS_MAX = 2

/** JetStream's code for a new stream that finds no place on the servers, for good or for now. */
const NO_PLACE = 10_005
/** JetStream's status for a reason that may pass. */
export const UNAVAILABLE = 503
/** Errors of the client for a reason that may pass. */
const PASSING = [ConnectionError, TimeoutError, RequestError, NoRespondersError]
/** JetStream's codes for other reasons that may pass, besides status 503. */
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
  readonly clock: Clock
}

/** The connection to the servers. It is connected to one of them at a time, and reconnects to any of them. */
export class Link implements LogConnection {
  readonly #stream: string | undefined
  /** All servers that were given, without passwords. */
  readonly #servers: string
  #maxPayload = 0
  readonly nc: NatsConnection
  readonly jsm: JetStreamManager
  /** What tells whether something is late. */
  readonly clock: Clock
  /** The prefix of JetStream's API subjects. */
  readonly api: string
  /** Makes a new subject on which to receive answers. */
  readonly inbox: () => string
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #onRefused = new Set<(error: PermissionViolationError) => void>()
  readonly #closing = new AbortController()
  /** Whether there is a connection to one server at least. */
  #linked = true
  /** Whether the servers that can be reached can answer. They cannot while the majority is gone. */
  #answers = true
  #lost = Promise.withResolvers<never>()

  static async open(options: LinkOptions, { signal }: SignalOptions = {}): Promise<Link> {
    const { servers, connection, domain, stream, clock = systemClock } = options
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
      // Only the operator ends a replica: no outage does, however long, and no password that is being
      // changed.
      reconnect: true,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectDelayHandler: () => pause.nextMs(),
    }
    const all = [parsed.servers ?? []].flat().map(urlOf).join(',')
    const opening: Patience = { clock, place: () => placeOf(all, stream), ...(signal && { signal }) }
    const nc = await patiently(CONNECT_MS, opening, () => connect(nats))
    try {
      const jsm = await patiently(PATIENCE_MS, opening, () =>
        jetstreamManager(nc, { timeout: REQUEST_MS, ...(domain !== undefined && { domain }) }),
      )
      const api = domain === undefined ? '$JS.API' : `$JS.${domain}.API`
      const inbox = () => createInbox(connection?.inboxPrefix)
      return new Link({ nc, jsm, api, inbox, pause, servers: all, stream, clock })
    } catch (error) {
      await nc.close()
      throw error
    }
  }

  private constructor(init: LinkInit) {
    const { nc, jsm, api, inbox, pause, servers, stream, clock } = init
    this.clock = clock
    this.nc = nc
    this.jsm = jsm
    this.api = api
    this.inbox = inbox
    this.#servers = servers
    this.#stream = stream
    this.#lost.promise.catch(() => {})
    this.#listen(pause).catch((error) => this.#gaveUp(error))
  }

  /**
   * The stream, and the server that is connected now, or all servers while there is none. For messages:
   * without passwords.
   */
  get place(): string {
    return placeOf(
      this.#linked && this.nc.getServer() ? urlOf(this.nc.getServer()) : this.#servers,
      this.#stream,
    )
  }

  /**
   * The largest message that the connected server takes, in bytes. While there is none, the limit of the last
   * one.
   */
  get maxPayload(): number {
    this.#maxPayload = this.nc.info?.max_payload ?? this.#maxPayload
    return this.#maxPayload
  }

  get connected(): boolean {
    return this.#linked && this.#answers
  }

  /** Whether there is a connection, even if no server answers. With a connection, asking is worth a try. */
  get linked(): boolean {
    return this.#linked
  }

  /** Set whether the servers answer. */
  answers(answers: boolean): void {
    this.#change(this.#linked, answers)
  }

  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** `listener` is called when the servers forbid an operation whose answer is not awaited. */
  onRefused(listener: (error: PermissionViolationError) => void): () => void {
    this.#onRefused.add(listener)
    return () => this.#onRefused.delete(listener)
  }

  /**
   * Resolves when there is a connection, immediately if there is one. Rejects when the signal aborts or the
   * link closes.
   */
  async whenConnected(signal?: AbortSignal): Promise<void> {
    await whenConnected(this, any(signal, this.#closing.signal))
  }

  /**
   * The answer to `request`. While no server answers, it is repeated for half a minute, then rejects with
   * `LogUnavailable`. The request must be safe to repeat.
   */
  async ask<T>(request: (jsm: JetStreamManager) => Promise<T>, { signal }: SignalOptions = {}): Promise<T> {
    const ends = any(signal, this.#closing.signal)
    return await patiently(PATIENCE_MS, { clock: this.clock, place: () => this.place, signal: ends }, () => {
      if (!this.#linked) throw new LogUnavailable('there is no connection')
      return Promise.race([request(this.jsm), this.#lost.promise])
    })
  }

  async close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    // First let everything that ends with the abort unsubscribe. If the connection has just ended too, an
    // unsubscription makes an error of the socket. Once the client is closed, no listener is left for that
    // error, and it would end the process.
    await this.clock.turn()
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

  /**
   * The client has closed, either because `close` was called or because of an error that it does not recover
   * from.
   */
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

  /** Call every listener. If one throws, the others are called all the same. */
  #tell<T>(listeners: Iterable<(value: T) => void>, value: T): void {
    for (const listener of [...listeners]) tellListener(listener, value)
  }
}

/**
 * The client closes for good if an authenticator throws. So return nothing then: the server refuses that, and
 * the client asks again.
 */
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
 * TLS options whose files are read when the client asks for their contents. The client itself would read them
 * between the server's first words and the handshake. No listener for socket errors exists then, so a
 * connection that is reset in that moment would end the process. Each connection reads the files anew,
 * because certificates are renewed.
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

/** The server's own error code, if JetStream answered with an error. */
export function codeOf(error: unknown): number | undefined {
  const answered = error instanceof LogRefused ? error.cause : error
  return answered instanceof JetStreamApiError ? answered.code : undefined
}

/** Whether JetStream's answer may be another one soon, for example because it has no leader at the moment. */
export function isPassing({ status, code }: { readonly status: number; readonly code: number }): boolean {
  return status === UNAVAILABLE || PASSING_CODES.has(code)
}

/**
 * Whether a new stream finds no place because a server is away that is to keep it. It has been stopped, or has
 * just been started and not told the others yet. All other reasons for `NO_PLACE` stay.
 */
function isPeerOffline(error: unknown): error is JetStreamApiError {
  return error instanceof JetStreamApiError && error.code === NO_PLACE && error.message.includes('offline')
}

/** For a message: why there was no answer, and what can be done about it. */
function whyOf(error: unknown): string | undefined {
  if (error instanceof LogUnavailable) return error.why
  const { message } = asError(error)
  return isPeerOffline(error)
    ? `${message}: a new stream needs all its servers; start those that are away, or give fewer replicas`
    : message
}

interface Patience {
  readonly clock: Clock
  readonly place: () => string
  readonly signal?: AbortSignal
}

async function patiently<T>(
  patienceMs: number,
  { clock, place, signal }: Patience,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = clock.now() + patienceMs
  using late = new Deadline(clock, patienceMs)
  const ends = any(signal, late.signal)
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
      if (clock.now() >= deadline) {
        throw new LogUnavailable(whyOf(error), { cause: error, place: place() })
      }
    }
    await pause.wait(ends)
  }
}

/** The `LogRefused` for an error that another try does not change; undefined for other errors. */
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

/** Whether it is JetStream's answer, or an error of the NATS client itself. */
function isOfClient(error: Error): boolean {
  return [JetStreamApiError, JetStreamError, ...Object.values(natsErrors)].some(
    (kind) => error instanceof kind,
  )
}

/** Whether the error may pass: no answer came, or JetStream has no leader at the moment. */
function mayPass(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return isPassing(error) || isPeerOffline(error)
  if (!(error instanceof Error)) return false
  // Our own errors have a code too, and of these only `LogUnavailable` may pass.
  if (error instanceof AnchorageError) return error instanceof LogUnavailable
  const isSystemError = 'code' in error && typeof error.code === 'string'
  // A server without JetStream reports `JetStreamNotEnabled`, but another server of its cluster may have
  // JetStream.
  const isOneOf = PASSING.some((kind) => error instanceof kind)
  return isSystemError || isOneOf || error.name === 'JetStreamNotEnabled'
}
