import { AckPolicy, type ConsumerConfig, type JetStreamManager } from '@nats-io/jetstream'
import { ClosedConnectionError, type Msg, nanos, nuid, type Subscription } from '@nats-io/transport-node'
import type { Timer } from '../../time/clock.ts'
import { LogRefused } from '../errors.ts'
import { Notifier } from '../notifier.ts'
import { any } from '../pause.ts'
import type { Link } from './link.ts'

/** A delivered message, and what its reply subject says about it. */
export interface Delivered {
  readonly sequence: number
  readonly timestampMs: number
  /** The same time, as exact as the server knows it: in nanoseconds. */
  readonly timeNs: string
  /** How many messages the consumer still has to deliver after this one. */
  readonly pending: number
  readonly msg: Msg
}

export interface PullInit {
  readonly link: Link
  readonly stream: string
  readonly consumer: Partial<ConsumerConfig>
  readonly signal: AbortSignal
  /**
   * The consumer was made. `madeMs` is the servers' time at that moment, `pending` the number of messages to
   * deliver.
   */
  readonly onMade?: (madeMs: number, pending: number) => void
}

/** Messages of one request. A second request is under way meanwhile, so that the server need not wait. */
const PULL_MESSAGES = 1_024
/** Bytes of one request: what a slow reader has to buffer. Twice the largest message, if that is more. */
const PULL_BYTES = 4 * 1024 * 1024
/** A request expires after this time, in milliseconds. What is left of it is then asked for again. */
const EXPIRES_MS = 30_000
/** How often a consumer that has nothing to deliver must show that it lives, in milliseconds. */
const HEARTBEAT_MS = 1_000
/** A consumer that was silent for this long, in milliseconds, has missed two beats and is given up. */
const SILENT_MS = 2.5 * HEARTBEAT_MS
/** The server forgets a consumer that gets no requests for this time, in milliseconds. */
const FORGOTTEN_AFTER_MS = 60_000

const REQUEST = { expires: nanos(EXPIRES_MS), idle_heartbeat: nanos(HEARTBEAT_MS) }
/** A request for one message of any size. */
const REQUEST_ONE = JSON.stringify({ ...REQUEST, batch: 1 })

/** The number of words in the reply subjects of newer servers. Those of 2.9 have nine. */
const WORDS_MAX = 12

/** Status codes of the messages that answer a request in place of entries. */
const STATUS = { heartbeat: 100, requestTimeout: 408, conflict: 409 } as const

/**
 * What one consumer of the server delivers, in batches. Each batch is yielded when the one before was taken,
 * so a slow reader is sent no more than it has room for. The first batch is empty. The iteration ends when
 * the consumer is gone or silent, a message or the connection was lost, or the signal aborts. The caller then
 * makes a new consumer for the position that it reached.
 *
 * The client's own means do not fit: `consume()` asks for more even if its reader is slow, `fetch()` waits
 * between requests, and the ordered consumer notices a dead consumer only after a minute. This is the ordered
 * consumer of NATS's ADR-17, with the pull requests of ADR-13.
 */
export async function* pull(init: PullInit): AsyncGenerator<readonly Delivered[]> {
  using consumer = new PulledConsumer(init)
  if (await consumer.make()) yield* consumer.batches()
}

class PulledConsumer implements Disposable {
  readonly #init: PullInit
  readonly #ended = new AbortController()
  readonly #signal: AbortSignal
  readonly #notifier = new Notifier()
  readonly #inbox: string
  readonly #request: string
  readonly #subscription: Subscription
  readonly #off: readonly (() => void)[]
  #name = ''
  #arrived: Delivered[] = []
  /** The consumer's sequence of the newest delivered message. */
  #last = 0
  #wordsAtEnd: number | undefined
  /** How many messages were asked for and have not come yet. */
  #asked = 0
  #heardMs: number
  #listening: Timer | undefined
  /**
   * The next message alone has more bytes than a request allows. It was written when a server's `max_payload`
   * was larger.
   */
  #isNextLarge = false
  /** Why it ended, if a new consumer would fail too. */
  #failure: unknown

  constructor(init: PullInit) {
    const { link, stream } = init
    this.#init = init
    this.#signal = any(init.signal, this.#ended.signal)
    this.#inbox = link.inbox()
    const bytesMax = Math.max(PULL_BYTES, 2 * link.maxPayload)
    this.#request = JSON.stringify({ ...REQUEST, batch: PULL_MESSAGES, max_bytes: bytesMax })
    this.#subscription = link.nc.subscribe(this.#inbox, {
      callback: (error, msg) => this.#guard(() => (error === null ? this.#take(msg) : this.#end())),
    })
    this.#off = [
      link.onChange(() => this.#end()),
      link.onRefused(({ subject, message }) => {
        if (!subject.includes(`.CONSUMER.MSG.NEXT.${stream}.`)) return
        this.#end(new LogRefused(`the log's servers refuse: ${message}`, { place: link.place }))
      }),
    ]
    this.#heardMs = link.clock.now()
    this.#listen()
    // Release on abort, not only when the reader returns. A reader that never returns would keep the process
    // from ending.
    this.#signal.addEventListener('abort', this.#release, { once: true })
    if (this.#signal.aborted) this.#release()
  }

  /** Make the consumer. Returns false if the connection was lost meanwhile. */
  async make(): Promise<boolean> {
    const { link, stream, consumer, onMade } = this.#init
    const add = (jsm: JetStreamManager) => {
      // Each try has another name: the servers may have placed the last consumer on a server that is dead.
      this.#name = nuid.next()
      return jsm.consumers.add(stream, {
        ...consumer,
        name: this.#name,
        ack_policy: AckPolicy.None,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
      })
    }
    try {
      const { created, num_pending } = await link.ask(add, { signal: this.#signal })
      onMade?.(Date.parse(String(created)), num_pending)
      return true
    } catch (error) {
      if (!this.#ended.signal.aborted || this.#init.signal.aborted) throw error
      if (this.#failure !== undefined) throw this.#failure
      return false
    }
  }

  async *batches(): AsyncGenerator<readonly Delivered[]> {
    this.#guard(() => this.#ask())
    yield []
    while (!this.#signal.aborted) {
      if (this.#arrived.length === 0) await this.#notifier.wait()
      else {
        const batch = this.#arrived
        this.#arrived = []
        yield batch
        this.#guard(() => this.#ask())
      }
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  [Symbol.dispose](): void {
    this.#end()
  }

  readonly #release = (): void => {
    const { link, stream } = this.#init
    this.#listening?.cancel()
    for (const off of this.#off) off()
    this.#subscription.unsubscribe()
    // A courtesy: the server would forget the consumer by itself.
    if (link.linked && this.#name !== '') link.jsm.consumers.delete(stream, this.#name).catch(() => {})
    this.#notifier.notify()
  }

  /** Notice, at each beat, that the consumer has missed two. */
  #listen(): void {
    const { clock } = this.#init.link
    this.#listening = clock.schedule(HEARTBEAT_MS, () => {
      this.#listen()
      if (this.#asked > 0 && clock.now() - this.#heardMs > SILENT_MS) this.#end()
    })
  }

  #take(msg: Msg): void {
    this.#heardMs = this.#init.link.clock.now()
    if (msg.subject === this.#inbox) {
      const left = unanswered(msg)
      if (left === undefined) return this.#end()
      this.#asked = Math.max(0, this.#asked - left)
      this.#isNextLarge = isBeyondBytes(msg) && left === PULL_MESSAGES
      return left > 0 ? this.#ask() : undefined
    }
    this.#asked--
    this.#wordsAtEnd ??= countWordsAtEnd(msg)
    const delivered = parse(msg, this.#wordsAtEnd)
    if (delivered.delivery !== this.#last + 1) return this.#end()
    this.#last = delivered.delivery
    this.#arrived.push(delivered)
    this.#notifier.notify()
  }

  #ask(): void {
    const { link, stream } = this.#init
    while (!this.#signal.aborted && this.#asked + this.#arrived.length <= PULL_MESSAGES) {
      const subject = `${link.api}.CONSUMER.MSG.NEXT.${stream}.${this.#name}`
      const batch = this.#isNextLarge ? 1 : PULL_MESSAGES
      link.nc.publish(subject, this.#isNextLarge ? REQUEST_ONE : this.#request, { reply: this.#inbox })
      this.#isNextLarge = false
      if (this.#asked === 0) this.#heardMs = link.clock.now()
      this.#asked += batch
    }
  }

  #end(failure?: unknown): void {
    this.#failure ??= failure
    this.#ended.abort()
  }

  /**
   * Run a callback of the client. An error thrown out of it would silently end the client's reading of every
   * subject.
   */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      // If the client is closed, the link reports why.
      this.#end(error instanceof ClosedConnectionError ? undefined : error)
    }
  }
}

/**
 * How many messages of a request will not come, according to a status message. Undefined if the consumer is
 * gone.
 */
function unanswered(msg: Msg): number | undefined {
  const { headers } = msg
  const { code = 0, description = '' } = headers ?? {}
  if (code === STATUS.heartbeat) return 0
  // Servers from 2.10 on send this for each request that reaches its count before its bytes.
  if (code === STATUS.conflict && /batch completed/i.test(description)) return 0
  return code === STATUS.requestTimeout || isBeyondBytes(msg)
    ? Number(headers?.get('Nats-Pending-Messages') || PULL_MESSAGES)
    : undefined
}
function isBeyondBytes({ headers }: Msg): boolean {
  const { code = 0, description = '' } = headers ?? {}
  return code === STATUS.conflict && /exceeds maxbytes/i.test(description)
}

/**
 * Parses a reply subject: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer
 * sequence>.<nanoseconds>.<pending>`. Newer servers may have two more words before the stream, and one at the
 * end. It is read from its end, so that few words are cut out.
 */
function parse(msg: Msg, wordsAtEnd: number): Delivered & { readonly delivery: number } {
  // A message without a reply subject was not delivered by a consumer. Its numbers are then wrong, which ends
  // this consumer.
  const { reply = '' } = msg
  let end = reply.length
  for (let n = 0; n < wordsAtEnd; n++) end = reply.lastIndexOf('.', end - 1)
  const pendingAt = reply.lastIndexOf('.', end - 1)
  const timeAt = reply.lastIndexOf('.', pendingAt - 1)
  const deliveryAt = reply.lastIndexOf('.', timeAt - 1)
  const sequenceAt = reply.lastIndexOf('.', deliveryAt - 1)
  return {
    sequence: +reply.slice(sequenceAt + 1, deliveryAt),
    delivery: +reply.slice(deliveryAt + 1, timeAt),
    // A number cannot hold the nanoseconds exactly, so cut them down to milliseconds.
    timestampMs: +reply.slice(timeAt + 1, pendingAt - 6),
    timeNs: reply.slice(timeAt + 1, pendingAt),
    pending: +reply.slice(pendingAt + 1, end),
    msg,
  }
}

/** The number of words after `<pending>`. All messages of one consumer have the same. */
function countWordsAtEnd({ reply = '' }: Msg): number {
  return reply.split('.').length === WORDS_MAX ? 1 : 0
}
