import { AckPolicy, type ConsumerConfig, type JetStreamManager } from '@nats-io/jetstream'
import { ClosedConnectionError, type Msg, nanos, nuid, type Subscription } from '@nats-io/transport-node'
import { LogRefused } from '../errors.ts'
import { Notifier } from '../notifier.ts'
import { any, type Link } from './link.ts'

/** What a delivered message tells of itself, in its reply subject. */
export interface Delivered {
  readonly sequence: number
  readonly timestampMs: number
  /** How many the consumer has yet to deliver after this one. */
  readonly pending: number
  readonly msg: Msg
}

export interface PullInit {
  readonly link: Link
  readonly stream: string
  readonly consumer: Partial<ConsumerConfig>
  readonly signal: AbortSignal
  /** The consumer is there. `madeMs` is what the servers' clock said then, `pending` what there is to deliver at once. */
  readonly onMade?: (madeMs: number, pending: number) => void
}

/** Asked for at a time. A second request is under way while the first is answered, so that the server need not wait. */
const PULL_MESSAGES = 1_024
const PULL_BYTES = 4 * 1024 * 1024
/** What is left of a request is asked for again after so long. */
const EXPIRES_MS = 30_000
/** A consumer that has nothing to deliver says that it lives; it is given up when it misses two such beats. */
const HEARTBEAT_MS = 1_000
const SILENT_MS = 2.5 * HEARTBEAT_MS
/** The server forgets a consumer that nobody asks for so long. */
const FORGOTTEN_AFTER_MS = 60_000

const REQUEST = { expires: nanos(EXPIRES_MS), idle_heartbeat: nanos(HEARTBEAT_MS) }
/** For one message, however large. */
const REQUEST_ONE = JSON.stringify({ ...REQUEST, batch: 1 })

/** In the reply subjects of newer servers; those of 2.9 have nine. */
const WORDS_MAX = 12

const STATUS = { heartbeat: 100, requestTimeout: 408, conflict: 409 } as const

/**
 * What one consumer of the server's delivers, in batches, each yielded when the one before was taken: a slow reader is sent no more
 * than it has room for. The first batch is empty. Ends when the consumer is gone or silent, a message was lost on its way, the connection
 * was lost, or the signal aborts: whoever reads then begins again where it was.
 *
 * The client's own `consume()` asks for more whatever its reader does, its `fetch()` waits between requests, and its ordered consumer
 * misses a dead one for a minute. This is the ordered consumer of NATS's ADR-17 by the pull requests of ADR-13.
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
  readonly #listening: NodeJS.Timeout
  #name = ''
  #arrived: Delivered[] = []
  /** The newest that was delivered, as the consumer counts. */
  #last = 0
  #wordsAtEnd: number | undefined
  /** Messages that were asked for and did not come yet. */
  #asked = 0
  #heardMs = performance.now()
  /** The next message alone is beyond the bytes of a request: it was written when a server's `max_payload` was larger. */
  #isNextLarge = false
  /** Why it ended, where beginning again would be in vain. */
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
    this.#listening = setInterval(() => {
      if (this.#asked > 0 && performance.now() - this.#heardMs > SILENT_MS) this.#end()
    }, HEARTBEAT_MS)
    // Not only once its reader returns: one that never does would keep the process from ending.
    this.#signal.addEventListener('abort', this.#release, { once: true })
    if (this.#signal.aborted) this.#release()
  }

  /** False when the connection was lost before the servers had made it. */
  async make(): Promise<boolean> {
    const { link, stream, consumer, onMade } = this.#init
    const add = (jsm: JetStreamManager) => {
      // Another name for each try: the servers may have given the one before to one of them that is dead.
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
    clearInterval(this.#listening)
    for (const off of this.#off) off()
    this.#subscription.unsubscribe()
    // The server would forget it by itself.
    if (link.linked && this.#name !== '') link.jsm.consumers.delete(stream, this.#name).catch(() => {})
    this.#notifier.notify()
  }

  #take(msg: Msg): void {
    this.#heardMs = performance.now()
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
      if (this.#asked === 0) this.#heardMs = performance.now()
      this.#asked += batch
    }
  }

  #end(failure?: unknown): void {
    this.#failure ??= failure
    this.#ended.abort()
  }

  /** What is thrown out of its callback ends all reading of the client's, of every subject, in silence. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      // A closed client is the link's affair, and it says why.
      this.#end(error instanceof ClosedConnectionError ? undefined : error)
    }
  }
}

/** How many messages of a request will not come, as a status message says; undefined when the consumer is gone. */
function unanswered(msg: Msg): number | undefined {
  const { headers } = msg
  const { code = 0, description = '' } = headers ?? {}
  if (code === STATUS.heartbeat) return 0
  // Servers from 2.10 on say so of each request that ends by its count, when its bytes would have allowed more.
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
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`, where newer servers may
 * have two more words before the stream, and one at the end. It is read from the end, so that few words are cut out.
 */
function parse(msg: Msg, wordsAtEnd: number): Delivered & { readonly delivery: number } {
  // One without a reply subject was not delivered by a consumer: its numbers are none, and end this one.
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
    // Nanoseconds are more than a number holds.
    timestampMs: +reply.slice(timeAt + 1, pendingAt - 6),
    pending: +reply.slice(pendingAt + 1, end),
    msg,
  }
}

/** Of one consumer all messages have it alike. */
function countWordsAtEnd({ reply = '' }: Msg): number {
  return reply.split('.').length === WORDS_MAX ? 1 : 0
}
