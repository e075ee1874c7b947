import { raceSignal } from 'race-signal'
import { tellListener } from '../../listener-warning.ts'
import { type Clock, sleep, systemClock } from '../../time/clock.ts'
import { LogClosed, LogUnavailable } from '../errors.ts'
import type { LogConnection, SignalOptions } from '../log.ts'
import { any, Pause } from '../pause.ts'
import { whenConnected } from '../when-connected.ts'
import { type Connection, lockTimeoutMs, type Statement } from './connection.ts'
import { Dialer } from './dialer.ts'
import { failure, isLockTimeout } from './failures.ts'
import { parseHosts, placeOfAll } from './hosts.ts'
import { type PostgresLogOptions, STATEMENT_TIMEOUT_MS } from './options.ts'

/** How long the first connection may take, in milliseconds. */
const CONNECT_MS = 10_000
/** How long a request waits for a server that takes it, in milliseconds. A promotion may take that long. */
const PATIENCE_MS = 30_000
/** Time between two questions whether an idle connection is alive, in milliseconds. */
const PING_MS = 3_000
/** How long a reader waits for a server that says nothing at all, in milliseconds. */
const SILENCE_MS = 10_000

const PING: Statement = { name: 'anchorage_ping', text: 'SELECT 1' }

/**
 * The connections to the server that takes writes: one for reads, which is always there and hears of changes, and
 * one for writes, made for the first of them. So no write that waits for a lock or a standby holds up a read.
 */
export class Link implements LogConnection {
  readonly clock: Clock
  /** All servers that were given, without passwords. */
  readonly #servers: string
  readonly #name: string
  readonly #lockTimeoutMs: number
  readonly #readDialer: Dialer
  readonly #writeDialer: Dialer
  readonly #closing = new AbortController()
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #told = new Set<(payload: string) => void>()
  /** What to listen to on each connection; empty for a pooler. */
  readonly #listen: string
  #reading: Connection | undefined
  #writing: Connection | undefined
  #dialing: Promise<Connection> | undefined
  #keeping: Promise<void> = Promise.resolve()
  /** Why there is no connection. */
  #trouble: LogUnavailable | undefined
  /** The latest history of the database that any connection had. */
  #latest = { system: '', timeline: 0 }

  /**
   * @param name what the log is called in messages
   * @param channel where the log's writers tell of changes
   */
  constructor(options: PostgresLogOptions, name: string, channel: string, clock: Clock = systemClock) {
    const { connectionString, ssl, pooled = false, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options
    const hosts = parseHosts(connectionString)
    const config = ssl === undefined ? {} : { ssl }
    this.clock = clock
    this.#servers = placeOfAll(hosts)
    this.#name = name
    this.#listen = pooled ? '' : `LISTEN ${channel}`
    this.#lockTimeoutMs = lockTimeoutMs(statementTimeoutMs)
    const silenceMs = Math.min(SILENCE_MS, statementTimeoutMs)
    const common = { config, pooled, clock }
    // What copies rows cannot be sent before what precedes it is answered.
    this.#readDialer = new Dialer(hosts, { ...common, pipeline: false, statementTimeoutMs: silenceMs })
    this.#writeDialer = new Dialer(hosts, { ...common, pipeline: true, statementTimeoutMs })
  }

  /** The log, and the server that is connected now, or all servers while there is none. For messages. */
  get place(): string {
    return `${this.#name} at ${this.#reading?.host.place ?? this.#servers}`
  }

  get connected(): boolean {
    return this.#reading !== undefined
  }

  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** `listener` is called with what the writers of the log say on its channel. */
  onTold(listener: (payload: string) => void): () => void {
    this.#told.add(listener)
    return () => this.#told.delete(listener)
  }

  /** Make the first connection, and from then on one after each that is lost. */
  async open({ signal }: SignalOptions = {}): Promise<void> {
    const ends = any(signal, this.#closing.signal)
    this.#reading = await this.#patiently(CONNECT_MS, ends, () => this.#dialReading())
    this.#keeping = this.#keep(this.#reading)
  }

  /** Resolves when there is a connection. Rejects when the signal aborts, or the link closes. */
  async whenConnected(signal?: AbortSignal): Promise<void> {
    await whenConnected(this, any(signal, this.#closing.signal))
  }

  /** The answer to a request, which must be safe to repeat. */
  async read<T>(request: (connection: Connection) => Promise<T>, { signal }: SignalOptions = {}): Promise<T> {
    const ends = any(signal, this.#closing.signal)
    return await this.#patiently(PATIENCE_MS, ends, async () => {
      if (this.#reading === undefined) throw this.#trouble ?? new LogUnavailable('there is no connection')
      try {
        return await request(this.#reading)
      } catch (error) {
        // A table is being changed or restored. A reader waits for that as for a server.
        if (isLockTimeout(error)) throw new LogUnavailable('a table is locked', { cause: error })
        throw error
      }
    })
  }

  /** Write something, in a way that is safe to repeat. */
  async write<T>(
    request: (connection: Connection) => Promise<T>,
    { signal }: SignalOptions = {},
  ): Promise<T> {
    const ends = any(signal, this.#closing.signal)
    return await this.#patiently(PATIENCE_MS, ends, async () => await request(await this.writing()))
  }

  /** The connection for writes, made if there is none. Rejects with `LogUnavailable` or `LogRefused`. */
  async writing(): Promise<Connection> {
    this.#closing.signal.throwIfAborted()
    if (this.#writing !== undefined && !this.#writing.lost.aborted) return this.#writing
    this.#dialing ??= this.#dialWriting()
    return await this.#dialing
  }

  /**
   * Run a notification. It is on the connection for reads, so that the next append need not wait for it. If it
   * cannot be run, nothing happens: readers look by themselves, only later.
   */
  async tell(notify: string): Promise<void> {
    await this.#reading?.run(notify).catch(() => {})
  }

  /** What a caller gets in place of an error of the client or the server. */
  failure(error: unknown): Error {
    const failed = failure(error, this.place, this.#lockTimeoutMs)
    if (!(failed instanceof LogUnavailable) || failed.place !== undefined) return failed
    return new LogUnavailable(failed.why, { place: this.place, cause: error })
  }

  /** Close both connections, after what is under way on them. */
  async close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    await Promise.all([this.#keeping, this.#reading?.close(), this.#writing?.close()])
    await this.#dialing?.then(
      (connection) => connection.close(),
      () => {},
    )
  }

  /**
   * An old primary may be the only one that answers for a while. What it took would be lost, and what the promoted
   * one has would be missing.
   */
  async #dial(dialer: Dialer): Promise<Connection> {
    const connection = await dialer.dial(this.#closing.signal)
    const { system, timeline } = connection
    if (system === this.#latest.system && timeline < this.#latest.timeline) {
      connection.drop(DEPOSED)
      throw new LogUnavailable('the server does not know that another was promoted', {
        place: connection.host.place,
      })
    }
    this.#latest = { system, timeline }
    return connection
  }

  async #dialReading(): Promise<Connection> {
    const connection = await this.#dial(this.#readDialer)
    try {
      if (this.#listen !== '') {
        connection.onNotification((payload) => this.#tell(payload))
        await connection.run(this.#listen)
      }
      // Who called is gone, and nobody would close it.
      this.#closing.signal.throwIfAborted()
      return connection
    } catch (error) {
      connection.drop('it could not be made')
      throw error
    }
  }

  async #dialWriting(): Promise<Connection> {
    try {
      const connection = await this.#dial(this.#writeDialer)
      this.#writing = connection
      // Another server was promoted, and the one that is read from does not know.
      if (this.#reading !== undefined && this.#reading.timeline < connection.timeline)
        this.#reading.drop(DEPOSED)
      return connection
    } finally {
      this.#dialing = undefined
    }
  }

  /** Keep a connection for reads until the link closes. */
  async #keep(first: Connection): Promise<void> {
    const { signal } = this.#closing
    const pause = new Pause()
    let connection: Connection | undefined = first
    while (!signal.aborted) {
      try {
        connection ??= await this.#dialReading()
        pause.reset()
        this.#change(connection)
        if (this.#writing !== undefined && this.#writing.timeline < connection.timeline)
          this.#writing.drop(DEPOSED)
        await this.#untilLost(connection)
      } catch (error) {
        if (signal.aborted) break
        const failed = this.failure(error)
        const why = failed instanceof LogUnavailable ? failed.why : failed.message
        this.#trouble = new LogUnavailable(why, { place: this.#servers, cause: error })
        this.#change(undefined)
        connection = undefined
        await pause.wait(signal)
      }
    }
    this.#change(undefined)
    await connection?.close()
  }

  /** Rejects when the connection is lost. Resolves when the link closes. */
  async #untilLost(connection: Connection): Promise<void> {
    const signal = AbortSignal.any([connection.lost, this.#closing.signal])
    while (!signal.aborted) {
      await sleep(this.clock, PING_MS, signal).catch(() => {})
      if (!signal.aborted && connection.isIdle) await connection.query(PING)
    }
    connection.lost.throwIfAborted()
  }

  #change(connection: Connection | undefined): void {
    const before = this.connected
    this.#reading = connection
    if (this.connected === before) return
    for (const listener of [...this.#listeners]) tellListener(listener, this.connected)
  }

  #tell(payload: string): void {
    for (const listener of [...this.#told]) listener(payload)
  }

  async #patiently<T>(patienceMs: number, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const deadline = this.clock.now() + patienceMs
    const pause = new Pause()
    for (;;) {
      signal.throwIfAborted()
      try {
        return await raceSignal(attempt(), signal)
      } catch (error) {
        signal.throwIfAborted()
        const failed = this.failure(error)
        if (!(failed instanceof LogUnavailable) || this.clock.now() >= deadline) throw failed
      }
      await pause.wait(signal)
    }
  }
}

/** Why a connection is given up. */
const DEPOSED = 'another server was promoted'
