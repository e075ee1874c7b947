import { JetStreamApiError, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import {
  type Authenticator,
  AuthorizationError,
  ConnectionError,
  connect,
  createInbox,
  type NatsConnection,
  type NodeConnectionOptions,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node'
import { LogClosed, LogRefused, LogUnavailable } from '../errors.ts'
import type { LogConnection, SignalOptions } from '../log.ts'
import { parseServers } from './servers.ts'

export interface LinkOptions {
  readonly servers: string | readonly string[]
  readonly connection?: Omit<NodeConnectionOptions, 'servers'>
  readonly domain?: string
}

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

const PASSING = [ConnectionError, TimeoutError, RequestError, NoRespondersError]
/** What JetStream answers for a reason that may pass, besides status 503. */
const PASSING_CODES = new Set([
  10_008 /* JetStream is temporarily unavailable */, 10_009 /* a peer is not current */, 10_010,
  10_023 /* insufficient resources, while a leader is elected */, 10_118 /* the stream is offline */,
])

/** The connection to the servers, whichever of them it is at the moment, and whether there is one. */
export class Link implements LogConnection {
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
    const { servers, connection, domain } = options
    const pause = new Pause()
    const nats: NodeConnectionOptions = {
      pingInterval: PING_MS,
      maxPingOut: PINGS_MAX,
      timeout: REQUEST_MS,
      ...parseServers(servers),
      ...connection,
      ...(connection?.authenticator && { authenticator: [connection.authenticator].flat().map(unfailing) }),
      // It is the operator who ends a replica, not an outage, however long, nor a password that is being changed.
      reconnect: true,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectDelayHandler: () => pause.nextMs(),
    }
    const nc = await patiently(CONNECT_MS, signal, () => connect(nats))
    try {
      const jsm = await patiently(PATIENCE_MS, signal, () =>
        jetstreamManager(nc, { timeout: REQUEST_MS, ...(domain !== undefined && { domain }) }),
      )
      const api = domain === undefined ? '$JS.API' : `$JS.${domain}.API`
      return new Link(nc, jsm, api, () => createInbox(connection?.inboxPrefix), pause)
    } catch (error) {
      await nc.close()
      throw error
    }
  }

  private constructor(
    nc: NatsConnection,
    jsm: JetStreamManager,
    api: string,
    inbox: () => string,
    pause: Pause,
  ) {
    this.nc = nc
    this.jsm = jsm
    this.api = api
    this.inbox = inbox
    this.#lost.promise.catch(() => {})
    void this.#listen(pause)
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
    return await patiently(PATIENCE_MS, ends, () => {
      if (!this.#linked) throw new LogUnavailable()
      return Promise.race([request(this.jsm), this.#lost.promise])
    })
  }

  async close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    await this.nc.close()
  }

  async #listen(pause: Pause): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') this.#change(false, this.#answers)
      else if (status.type === 'reconnect') {
        pause.reset()
        this.#change(true, this.#answers)
      } else if (status.type === 'error' && status.error instanceof PermissionViolationError) {
        for (const listener of this.#onRefused) listener(status.error)
      }
    }
    this.#change(false, this.#answers)
  }

  #change(linked: boolean, answers: boolean): void {
    const before = this.connected
    if (linked && !this.#linked) {
      this.#lost = Promise.withResolvers()
      this.#lost.promise.catch(() => {})
    } else if (!linked) this.#lost.reject(new LogUnavailable())
    this.#linked = linked
    this.#answers = answers
    if (this.connected === before) return
    for (const listener of [...this.#listeners]) listener(this.connected)
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

/** One signal for both. */
export function any(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return signal === undefined ? other : AbortSignal.any([signal, other])
}

/** The server's own error code, of an error that JetStream answered. */
export function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined
}

async function patiently<T>(
  patienceMs: number,
  signal: AbortSignal | undefined,
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
      const { message, code = '' } = error as NodeJS.ErrnoException
      if (isRefusal(error)) throw new LogRefused(`the log's servers refuse: ${message}`, { cause: error })
      if (/CERT|TLS|SSL|VERIFY/.test(code)) {
        throw new LogRefused(`the log's servers are not trusted: ${message}`, { cause: error })
      }
      if (!mayPass(error)) throw error
      if (performance.now() >= deadline) {
        throw error instanceof LogUnavailable
          ? error
          : new LogUnavailable((error as Error).message, { cause: error })
      }
    }
    await pause.wait(ends)
  }
}

function isRefusal(error: unknown): boolean {
  return [AuthorizationError, UserAuthenticationExpiredError, PermissionViolationError].some(
    (kind) => error instanceof kind || (error instanceof Error && error.cause instanceof kind),
  )
}

/** No answer, or the answer of a JetStream that has no leader at the moment. */
function mayPass(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503 || PASSING_CODES.has(error.code)
  if (!(error instanceof Error)) return false
  const isSystemError = 'code' in error && typeof error.code === 'string'
  // Also a server that does not run JetStream says so, and one of its neighbours may.
  const isPassing = [...PASSING, LogUnavailable].some((kind) => error instanceof kind)
  return isSystemError || isPassing || error.name === 'JetStreamNotEnabled'
}
