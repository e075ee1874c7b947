import { AckPolicy, type ConsumerConfig } from '@nats-io/jetstream'
import { type Msg, nanos, nuid } from '@nats-io/transport-node'
import { Doorbell } from '../doorbell.ts'
import { LogRefused } from '../errors.ts'
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

/** In the reply subjects of newer servers; those of 2.9 have nine. */
const WORDS_MAX = 12

const STATUS = { heartbeat: 100, requestTimeout: 408, conflict: 409 } as const

/**
 * What one consumer of the server's delivers, in batches, each yielded when the one before was taken: a slow reader is sent no more
 * than it has room for. The first batch is empty. Ends when the consumer is gone or silent, a message was lost on its way, the connection was
 * lost, or the signal aborts: whoever reads then begins again where it was.
 *
 * The client's own `consume()` asks for more whatever its reader does, its `fetch()` waits between requests, and its ordered consumer
 * misses a dead one for a minute. This is the ordered consumer of NATS's ADR-17 by the pull requests of ADR-13.
 */
export async function* pull(init: PullInit): AsyncGenerator<readonly Delivered[]> {
  const { link, stream, consumer } = init
  const { nc, api } = link
  const ended = new AbortController()
  const signal = any(init.signal, ended.signal)
  const bell = new Doorbell()
  const end = () => {
    ended.abort()
    bell.ring()
  }
  signal.addEventListener('abort', bell.ring)
  const offConnection = link.onChange(end)
  let refused: LogRefused | undefined
  const offRefused = link.onRefused(({ subject, message }) => {
    if (!subject.includes(`.CONSUMER.MSG.NEXT.${stream}.`)) return
    refused = new LogRefused(`the log's servers refuse: ${message}`)
    end()
  })

  let name = ''
  const inbox = link.inbox()
  const request = JSON.stringify({
    batch: PULL_MESSAGES,
    max_bytes: Math.max(PULL_BYTES, 2 * (nc.info?.max_payload ?? 0)),
    expires: nanos(EXPIRES_MS),
    idle_heartbeat: nanos(HEARTBEAT_MS),
  })
  let arrived: Delivered[] = []
  let last = 0
  let wordsAtEnd: number | undefined
  /** Messages that were asked for and did not come yet. */
  let asked = 0
  let heardMs = performance.now()

  const ask = () => {
    while (!signal.aborted && asked + arrived.length <= PULL_MESSAGES) {
      nc.publish(`${api}.CONSUMER.MSG.NEXT.${stream}.${name}`, request, { reply: inbox })
      if (asked === 0) heardMs = performance.now()
      asked += PULL_MESSAGES
    }
  }
  const subscription = nc.subscribe(inbox, {
    callback: (error, msg) => {
      heardMs = performance.now()
      if (error !== null) return end()
      if (msg.subject === inbox) {
        const left = unanswered(msg)
        if (left === undefined) return end()
        asked = Math.max(0, asked - left)
        return left > 0 ? ask() : undefined
      }
      asked--
      wordsAtEnd ??= countWordsAtEnd(msg)
      const delivered = parse(msg, wordsAtEnd)
      if (delivered.delivery !== last + 1) return end()
      last = delivered.delivery
      arrived.push(delivered)
      bell.ring()
    },
  })
  const listening = setInterval(() => {
    if (asked > 0 && performance.now() - heardMs > SILENT_MS) end()
  }, HEARTBEAT_MS)

  try {
    const { created, num_pending } = await link.ask(
      (jsm) => {
        // Another name for each try: the servers may have given the one before to one of them that is dead.
        name = nuid.next()
        return jsm.consumers.add(stream, {
          ...consumer,
          name,
          ack_policy: AckPolicy.None,
          mem_storage: true,
          num_replicas: 1,
          inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
        })
      },
      { signal },
    )
    init.onMade?.(Date.parse(String(created)), num_pending)
    ask()
    yield []
    while (!signal.aborted) {
      if (arrived.length === 0) await bell.wait()
      else {
        const batch = arrived
        arrived = []
        yield batch
        ask()
      }
    }
    if (refused !== undefined) throw refused
  } finally {
    clearInterval(listening)
    offConnection()
    offRefused()
    signal.removeEventListener('abort', bell.ring)
    subscription.unsubscribe()
    // The server would forget it by itself.
    if (link.linked) link.jsm.consumers.delete(stream, name).catch(() => {})
  }
}

/** How many messages of a request will not come, as a status message says; undefined when the consumer is gone. */
function unanswered({ headers }: Msg): number | undefined {
  const { code = 0, description = '' } = headers ?? {}
  if (code === STATUS.heartbeat) return 0
  const isOver =
    code === STATUS.requestTimeout || (code === STATUS.conflict && /exceeds maxbytes/i.test(description))
  return isOver ? Number(headers?.get('Nats-Pending-Messages') || PULL_MESSAGES) : undefined
}

/**
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`, where newer servers may
 * have two more words before the stream, and one at the end. It is read from the end, so that few words are cut out.
 */
function parse(msg: Msg, wordsAtEnd: number): Delivered & { readonly delivery: number } {
  const reply = msg.reply!
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
