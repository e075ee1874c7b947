import { tellListener } from '../../listener-warning.ts'
import { type Clock, systemClock } from '../../time/clock.ts'
import { LogClosed, LogRefused, LogUnusable, ServersOutdated } from '../errors.ts'
import {
  checkAppend,
  checkCursor,
  checkInit,
  checkPrune,
  checkUpgrade,
  ENTRY_BYTES_MAX,
  ENTRY_BYTES_MIN,
} from '../limits.ts'
import type {
  Appended,
  Cursor,
  Log,
  LogBatch,
  LogBounds,
  LogConnection,
  LogInit,
  NewEntry,
  SignalOptions,
} from '../log.ts'
import type { PresenceStore } from '../presence.ts'
import { maxPayloadOf } from './entry.ts'
import { ForeignStream } from './foreign-stream.ts'
import { Link } from './link.ts'
import { checkStreamName, streamName } from './names.ts'
import { DUPLICATE_WINDOW_MS, type JetstreamLogOptions, POLL_MS } from './options.ts'
import { OwnStream } from './own-stream.ts'
import { JetstreamPresenceStore } from './presence-store.ts'
import { Publisher } from './publisher.ts'
import { CLUSTER_VERSION_MIN, isOlder } from './server-version.ts'
import type { Stream } from './stream.ts'
import { StreamMonitor } from './stream-monitor.ts'
import { StreamReader } from './stream-reader.ts'

/** One handle on a group's stream. */
export class JetstreamLog implements Log {
  readonly epoch: string
  readonly signature: string
  readonly notices: PresenceStore
  readonly #maxEntryBytes: number
  readonly #onProblem: (error: Error) => void
  readonly #link: Link
  readonly #stream: Stream
  readonly #publisher: Publisher
  readonly #reader: StreamReader
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined
  /** The server versions that a warning was given for. */
  readonly #outdated = new Set<string>()

  /** @param clock what tells whether the servers are late, and have come apart */
  static async open(options: JetstreamLogOptions, init: LogInit, clock: Clock = systemClock): Promise<Log> {
    init.signal?.throwIfAborted()
    const create = options.create !== false && init.create !== false
    checkInit(init, create)
    const name = options.stream ?? streamName(init.group)
    checkStreamName(name)
    const link = await Link.open({ ...options, stream: name, clock }, init)
    try {
      checkPayload(link, options)
      return new JetstreamLog(options, init, link, await openStream(link, init, { ...options, name, create }))
    } catch (error) {
      await link.close()
      throw error
    }
  }

  private constructor(options: JetstreamLogOptions, init: LogInit, link: Link, stream: Stream) {
    const { pollMs = POLL_MS, maxEntryBytes = ENTRY_BYTES_MAX } = options
    this.epoch = stream.epoch
    this.signature = stream.binding.signature
    this.#maxEntryBytes = maxEntryBytes
    this.#onProblem = (error) => tellListener(init.onProblem, error)
    this.#link = link
    this.#stream = stream
    const codec = stream.codec(init.author)
    const monitor = new StreamMonitor(link, stream, pollMs)
    const closing = this.#closing.signal
    this.#publisher = new Publisher(link, stream, codec)
    this.#reader = new StreamReader({ link, stream, codec, monitor, closing })
    this.notices = new JetstreamPresenceStore({
      link,
      stream,
      maxBytes: () => this.maxEntryBytes,
      closing,
      monitor: (signal) => monitor.until(signal),
    })
    this.#warnOfVersion()
    link.onChange((connected) => connected && this.#warnOfVersion())
  }

  /**
   * The limit of the server that is connected now. Other servers of the cluster, or the same one later, may
   * have another limit.
   */
  get maxEntryBytes(): number {
    const maxMessageBytes = Math.min(this.#link.maxPayload, this.#stream.maxMessageBytes)
    return Math.min(this.#maxEntryBytes, maxPayloadOf(maxMessageBytes))
  }

  get hasMessages(): boolean {
    return this.#stream.hasMessages
  }

  get prunes(): boolean {
    return this.#stream.prunes
  }

  get connection(): LogConnection {
    return this.#link
  }

  async append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    this.#assertOpen(options)
    const { hasMessages } = this
    checkAppend(entries, this.maxEntryBytes, { hasMessages, place: this.#link.place })
    return await this.#publisher.append(entries, options)
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#reader.batches(cursor, () => Number.POSITIVE_INFINITY, options)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#reader.batches(cursor, ({ newest }) => newest.index, options)
  }

  async bounds(options?: SignalOptions): Promise<LogBounds> {
    this.#assertOpen(options)
    const { first, newest } = await this.#stream.look(options)
    return { epoch: this.epoch, first, newest }
  }

  async serverTimeMs(options?: SignalOptions): Promise<number | undefined> {
    this.#assertOpen(options)
    await this.#stream.look(options)
    return this.#stream.toldAtMs
  }

  async prune(upTo: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    if (!this.prunes) throw notOurs(this.#link.place)
    const { first, newest } = await this.#stream.look(options)
    checkPrune(upTo, newest.index)
    if (upTo >= first) await this.#stream.purge(upTo, options)
  }

  get upgraded(): string | undefined {
    return this.#stream.binding.upgraded
  }

  async noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    checkUpgrade({ signature, at })
    await this.#stream.noteUpgrade({ signature, at }, options)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    await this.#publisher.close()
    await this.#link.close()
  }

  #assertOpen({ signal }: SignalOptions = {}): void {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
  }

  /**
   * Warn of servers that are too old for a replicated log. The log goes on, but the operator should know what
   * they may lose.
   */
  #warnOfVersion(): void {
    const { version } = this.#link.nc.info ?? {}
    const { place } = this.#link
    const { replicas } = this.#stream
    if (version === undefined || replicas === 1 || !isOlder(version, CLUSTER_VERSION_MIN)) return
    if (this.#outdated.has(version)) return
    this.#outdated.add(version)
    this.#onProblem(new ServersOutdated(version, CLUSTER_VERSION_MIN, replicas, { place }))
  }
}

/** Throws if the servers do not take entries of the size asked for, or of the size that every group needs. */
function checkPayload(link: Link, { maxEntryBytes = ENTRY_BYTES_MIN }: JetstreamLogOptions): void {
  const bytesMax = maxPayloadOf(link.maxPayload)
  if (maxEntryBytes <= bytesMax) return
  throw new LogUnusable(
    `entries of ${maxEntryBytes} bytes are beyond what the server takes, ${bytesMax}; raise its max_payload`,
    { place: link.place },
  )
}

async function openStream(
  link: Link,
  init: LogInit,
  options: JetstreamLogOptions & { readonly name: string; readonly create: boolean },
): Promise<Stream> {
  const { name, create, replicas, control, duplicateWindowMs = DUPLICATE_WINDOW_MS } = options
  if (control !== undefined) return await ForeignStream.open(link, init, { ...options, control })
  return await OwnStream.open(link, init, { name, create, replicas, duplicateWindowMs })
}

function notOurs(place: string): LogRefused {
  return new LogRefused(
    'how long the messages of this stream are kept is decided by its own limits; set those, or open it with `prune: true` to purge it',
    { place },
  )
}
