import { headers, type Msg, type MsgHdrs } from '@nats-io/transport-node'
import { asError } from '../../thrown.ts'
import type { Timer } from '../../time/clock.ts'
import {
  AppendUncertain,
  EntryTooLarge,
  LogClosed,
  LogError,
  LogRefused,
  LogUnavailable,
  LogUnusable,
} from '../errors.ts'
import type { Appended, NewEntry, SignalOptions } from '../log.ts'
import { Pause } from '../pause.ts'
import { parseAck } from './ack.ts'
import type { Codec, Outgoing } from './codec.ts'
import { maxPayloadOf } from './entry.ts'
import { isPassing, type Link } from './link.ts'
import type { Stream } from './stream.ts'

/** The most messages that are published and not acknowledged at a time. */
const FLIGHT_MESSAGES_MAX = 1_024
/**
 * No further message is published while those in flight have this many bytes. It bounds what a try repeats.
 */
const FLIGHT_BYTES_MAX = 8 * 1024 * 1024
/** An acknowledgement that takes longer than this counts as lost, in milliseconds. */
const ACK_MS = 5_000
/** How often late acknowledgements and late messages are looked for, in milliseconds. */
const POLL_INTERVAL_MS = 250
/**
 * Entries are published again, under the same id, during this part of the servers' deduplication window. A
 * message that is on its way then has the rest of the window to arrive.
 */
const RETRY_PART = 1 / 2
/** How long an entry that was never published waits for servers, in milliseconds. */
const WAIT_MS_MAX = 60_000
/** How long `close()` waits for acknowledgements, in milliseconds. */
const CLOSE_MS = 5_000

/**
 * Part of the description of a refusal for good, such as `maximum messages exceeded`. Its status is that of a
 * reason that may pass.
 */
const LIMIT = /exceeded/
/** Not a refusal: the server has this message already and waits for the other servers to store it. */
const IN_PROCESS = 10_158

type PublishedStream = Pick<Stream, 'writtenName' | 'numbering' | 'duplicateWindowMs' | 'isFresh' | 'look'>

/** One append. It settles when all of its messages have. */
interface Append {
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: unknown) => void
  readonly messages: Message[]
  left: number
  settled: boolean
}

interface Message extends Outgoing {
  readonly append: Append
  readonly payloadBytes: number
  /** The last word of the subject on which its acknowledgements arrive. */
  readonly token: string
  readonly calledMs: number
  /** When it was first published. Undefined while it cannot be in the log. */
  sentMs: number | undefined
  /** The same by the wall clock, which goes on while the machine sleeps. */
  sentWallMs: number
  publishedMs: number
  publishedTimes: number
  sequence: number
}

/**
 * Publishes entries in the order of the calls, many at a time. If acknowledgements are missing, the entries
 * are published again under the same ids, in order. Others that were under way at that moment may then be in
 * the log before them.
 */
export class Publisher {
  readonly #link: Link
  readonly #stream: PublishedStream
  readonly #codec: Codec
  readonly #inbox: string
  readonly #off: readonly (() => void)[]
  readonly #stopped = new AbortController()
  /** The messages in the order of the calls. Those from `#next` on are to be published. */
  #queue: Message[] = []
  #next = 0
  /** Published messages that have not settled, by token, oldest first. */
  readonly #flight = new Map<string, Message>()
  #flightBytes = 0
  #count = 0
  /** The pause between two tries. A success resets it. */
  readonly #pause = new Pause()
  /** The reason why nothing is published now. */
  #trouble: string | undefined
  #stalled = false
  /** A look at the stream precedes what is published next. */
  #looking = false
  #watch: Timer | undefined
  #drained: (() => void) | undefined

  constructor(link: Link, stream: PublishedStream, codec: Codec) {
    this.#link = link
    this.#stream = stream
    this.#codec = codec
    this.#inbox = link.inbox()
    link.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, msg) => {
        if (error === null) this.#answered(msg)
      },
    })
    this.#off = [
      link.onChange((connected) => {
        if (!connected) this.#stall()
      }),
      link.onRefused(({ operation, subject, message }) => {
        if (operation === 'publish') this.#refused(subject, message)
      }),
    ]
  }

  async append(entries: readonly NewEntry[], { signal }: SignalOptions = {}): Promise<Appended> {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>()
    const append: Append = { resolve, reject, messages: [], left: entries.length, settled: false }
    const calledMs = this.#link.clock.now()
    for (const entry of entries) {
      append.messages.push({
        ...this.#codec.encode(entry),
        append,
        payloadBytes: entry.payload.byteLength,
        token: (++this.#count).toString(36),
        calledMs,
        sentMs: undefined,
        sentWallMs: 0,
        publishedMs: 0,
        publishedTimes: 0,
        sequence: 0,
      })
    }
    for (const message of append.messages) this.#queue.push(message)
    const onAbort = () => {
      this.#fail(append, signal?.reason)
      // If this append was all that was in flight, no acknowledgement will call `#pump`.
      this.#pump()
    }
    signal?.addEventListener('abort', onAbort)
    if (this.#watch === undefined) this.#watchOver()
    this.#pump()
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Resolves when every append has settled. After five seconds without an answer the rest is given up. */
  async close(): Promise<void> {
    if (this.#pending && this.#link.connected) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = this.#link.clock.schedule(CLOSE_MS, resolve)
      this.#drained = resolve
      await promise
      timer.cancel()
    }
    this.#stopped.abort()
    for (const off of this.#off) off()
    this.#failAll(new LogClosed())
    this.#settled()
  }

  get #pending(): boolean {
    return this.#flight.size > 0 || this.#next < this.#queue.length
  }

  /** @param isSure that the stream is the one that was opened: a look may take longer than it is fresh */
  #pump(isSure = this.#stream.isFresh): void {
    if (this.#stalled || this.#looking) return
    if (!this.#link.connected) return this.#stall()
    if (this.#next < this.#queue.length && !isSure) return void this.#lookFirst()
    while (
      this.#next < this.#queue.length &&
      this.#flight.size < FLIGHT_MESSAGES_MAX &&
      (this.#flightBytes < FLIGHT_BYTES_MAX || this.#flight.size === 0)
    ) {
      const message = this.#queue[this.#next++]!
      if (!message.append.settled && message.sequence === 0) this.#publish(message)
    }
    if (this.#next > FLIGHT_MESSAGES_MAX && this.#next * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next)
      this.#next = 0
    }
  }

  /** Publish when it is sure that the stream is still the one that was opened. What is under way goes on. */
  async #lookFirst(): Promise<void> {
    this.#looking = true
    try {
      await this.#stream.look({ signal: this.#stopped.signal })
    } catch (error) {
      if (error instanceof LogUnavailable) this.#stall(error.why)
      else if (!this.#stopped.signal.aborted) this.#failAll(error)
    }
    this.#looking = false
    this.#pump(true)
    this.#settled()
  }

  /**
   * Publish a message. If the client does not take it, its append fails and the message is no longer in
   * flight.
   */
  #publish(message: Message): void {
    const reply = `${this.#inbox}.${message.token}`
    try {
      this.#link.nc.publish(message.subject, message.data, { reply, headers: headersOf(message) })
    } catch (error) {
      this.#leave(message)
      return this.#fail(message.append, this.#unpublishable(message, error))
    }
    const { clock } = this.#link
    message.publishedMs = clock.now()
    message.publishedTimes = message.sentMs === undefined ? 1 : message.publishedTimes + 1
    if (message.sentMs === undefined) {
      message.sentMs = message.publishedMs
      message.sentWallMs = clock.wallNow()
    }
    this.#flight.set(message.token, message)
    this.#flightBytes += message.data.byteLength
  }

  /**
   * The reason why the client did not take a message: this server has a lower limit than the last one, or
   * there is no connection.
   */
  #unpublishable({ payloadBytes }: Message, cause: unknown): LogError {
    const { place, maxPayload } = this.#link
    const maxBytes = maxPayloadOf(maxPayload)
    if (payloadBytes > maxBytes) return new EntryTooLarge(payloadBytes, maxBytes, { cause, place })
    return new LogUnavailable(asError(cause).message, { cause, place })
  }

  #answered(msg: Msg): void {
    const message = this.#flight.get(msg.subject.slice(this.#inbox.length + 1))
    // It was acknowledged twice, or was given up.
    if (message === undefined) return
    const { seq, stream, error } = parseAck(msg)
    // A server that answers with an error has not stored the message, except with `IN_PROCESS`.
    if (error !== undefined && error.code !== IN_PROCESS && message.publishedTimes === 1) {
      message.sentMs = undefined
    }
    if (seq > 0 && stream !== this.#stream.writtenName) {
      this.#leave(message)
      this.#fail(message.append, this.#taken(message, stream))
    } else if (seq > 0) {
      this.#leave(message)
      message.sequence = seq
      this.#pause.reset()
      this.#acknowledged(message.append)
    } else if (error === undefined || (isPassing(error) && !LIMIT.test(error.description))) {
      // The error may pass: there is no stream or no leader now, or the leader does not know yet whether it
      // has this id, or it waits for other servers.
      return this.#stall(error?.description)
    } else {
      this.#leave(message)
      this.#fail(message.append, this.#refusal(error.description))
    }
    this.#pump()
    this.#settled()
  }

  /** The servers forbid publishing on a subject. They say so for one entry, but it holds for all. */
  #refused(subject: string, why: string): void {
    const isRefused = (message: Message) => message.subject === subject
    for (const message of this.#flight.values()) {
      if (isRefused(message) && message.publishedTimes === 1) message.sentMs = undefined
    }
    for (const message of this.#unsettled().filter(isRefused)) this.#fail(message.append, this.#refusal(why))
  }

  /** Others gave the subject to another stream since the last look. */
  #taken({ subject }: Message, stream: string | undefined): LogUnusable {
    const why = `the stream ${stream} took a message on ${subject}: give the subject back to the log's, or publish on another`
    return new LogUnusable(why, { place: this.#link.place })
  }

  #refusal(why: string): LogRefused {
    return new LogRefused(`the log's servers refuse an entry: ${why}`, { place: this.#link.place })
  }

  #acknowledged(append: Append): void {
    if (--append.left > 0 || append.settled) return
    append.settled = true
    const { messages, resolve, reject } = append
    if (messages.every(({ sequence }, at) => at === 0 || sequence > messages[at - 1]!.sequence)) {
      const { numbering } = this.#stream
      const [first, last] = [messages[0]!, messages.at(-1)!]
      resolve({
        first: numbering.indexOf(first.sequence),
        last: numbering.indexOf(last.sequence),
        firstId: first.id,
      })
    } else {
      const why = 'entries of one append had to be repeated, and are in another order'
      reject(new AppendUncertain(why, { place: this.#link.place }))
    }
  }

  /**
   * An acknowledgement is missing, or the servers are not ready. After a pause, publish again everything that
   * is not acknowledged.
   */
  #stall(trouble?: string): void {
    this.#trouble = trouble
    if (this.#stalled) return
    this.#stalled = true
    this.#resume().catch((error) => {
      this.#stalled = false
      this.#failAll(error)
      this.#settled()
    })
  }

  async #resume(): Promise<void> {
    const { signal } = this.#stopped
    for (;;) {
      await this.#pause.wait(signal)
      if (signal.aborted) return
      if (!this.#pending) break
      try {
        await this.#link.whenConnected(signal)
        // Fails if the stream was made anew meanwhile, or its subject changed.
        await this.#stream.look({ signal })
        break
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof LogUnavailable)) {
          this.#failAll(error)
          break
        }
      }
    }
    this.#giveUpLate()
    const again = [...this.#flight.values()].filter(({ append }) => !append.settled)
    this.#queue = [...again, ...this.#queue.slice(this.#next)]
    this.#next = 0
    this.#flight.clear()
    this.#flightBytes = 0
    this.#stalled = false
    this.#pump()
    this.#settled()
  }

  #watchOver(): void {
    this.#watch = this.#link.clock.schedule(POLL_INTERVAL_MS, () => {
      this.#watchOver()
      this.#look()
    })
  }

  /** Stall if an acknowledgement takes too long, and give up messages that waited too long. */
  #look(): void {
    const nowMs = this.#link.clock.now()
    const [oldest] = this.#flight.values()
    if (oldest !== undefined && nowMs - oldest.publishedMs > ACK_MS) this.#stall()
    if (this.#stalled) this.#giveUpLate()
    this.#forgetSettled()
  }

  #giveUpLate(): void {
    const nowMs = this.#link.clock.now()
    const wallMs = this.#link.clock.wallNow()
    const retryMs = this.#stream.duplicateWindowMs * RETRY_PART
    const waitMs = Math.min(WAIT_MS_MAX, Math.max(retryMs, ACK_MS))
    for (const message of this.#unsettled()) {
      const { append, sentMs, sentWallMs, calledMs } = message
      const isLate =
        sentMs === undefined
          ? nowMs - calledMs > waitMs
          : Math.max(nowMs - sentMs, wallMs - sentWallMs) > retryMs
      if (isLate) this.#fail(append, new LogUnavailable(this.#trouble, { place: this.#link.place }))
    }
  }

  /** Drop the messages that were given up, and go on with those behind them. */
  #forgetSettled(): void {
    this.#queue = this.#queue.slice(this.#next).filter(({ append }) => !append.settled)
    this.#next = 0
    this.#pump()
    this.#settled()
  }

  /**
   * Fail an append. If none of its messages was published, none is in the log; otherwise the outcome is
   * uncertain.
   */
  #fail(append: Append, error: unknown): void {
    if (append.settled) return
    append.settled = true
    const isUncertain = append.messages.some(({ sentMs }) => sentMs !== undefined)
    const why = asError(error).message
    // A `LogError` names the place already.
    const options = { cause: error, ...(!(error instanceof LogError) && { place: this.#link.place }) }
    append.reject(isUncertain ? new AppendUncertain(`an append failed on its way: ${why}`, options) : error)
    for (const message of append.messages) this.#leave(message)
  }

  #failAll(error: unknown): void {
    for (const { append } of this.#unsettled()) this.#fail(append, error)
  }

  #unsettled(): Message[] {
    return [...this.#flight.values(), ...this.#queue.slice(this.#next)]
  }

  #leave(message: Message): void {
    if (this.#flight.delete(message.token)) this.#flightBytes -= message.data.byteLength
  }

  /** If nothing is pending, stop watching. */
  #settled(): void {
    if (this.#pending && !this.#stopped.signal.aborted) return
    this.#watch?.cancel()
    this.#watch = undefined
    this.#drained?.()
  }
}

function headersOf({ id, headers: given = {} }: Message): MsgHdrs {
  const header = headers()
  for (const [name, values] of Object.entries(given)) {
    for (const value of [values].flat()) header.append(name, value)
  }
  header.set('Nats-Msg-Id', id)
  return header
}
