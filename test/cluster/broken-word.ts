import { setTimeout as delay } from 'node:timers/promises'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import { EntryDecoder, EntryEncoder } from '../../src/log/jetstream/entry.ts'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import type { Log } from '../../src/log/log.ts'
import type { NatsServer, NatsServers } from '../../src/testing/index.ts'
import { init } from '../log/entries.ts'

export interface PausesInit {
  readonly stream: string
  /** How long the leader of the stream is stopped in each round, in milliseconds. */
  readonly pausesMs: readonly number[]
  /** Between two rounds, in milliseconds: the servers come to agree again. */
  readonly settleMs: number
}

/** What servers promised, and what came of it. */
export interface Outcome {
  readonly acknowledged: number
  /** Sequence numbers that were acknowledged for two messages. */
  readonly twice: number[]
  /** Acknowledged sequence numbers under which the stream holds another message in the end, or none. */
  readonly lost: number[]
  readonly followers: Followed[]
}

/** What one follower of the log came to. */
export interface Followed {
  readonly entries: number
  /** How many of its entries the log does not hold in the end. */
  readonly dead: number
  /** The name of the error that ended it. */
  readonly failure: string | undefined
  /** From the first dead entry to that error, in milliseconds. */
  readonly toldAfterMs: number | undefined
}

/** Messages of one writer that are on their way at a time. */
const FLIGHT_MAX = 50
/** Pause of a writer between two messages, in milliseconds. */
const WRITE_MS = 2
/** How long the last acknowledgements are waited for. */
const LAST_ACKS_MS = 3_000
/** How long followers have to come to the log's end, or to find out that they cannot. */
const FOLLOW_MS = 20_000
const POLL_INTERVAL_MS = 100
const REQUESTS_MAX = 200
const LEADER_WAIT_MS = 30_000
const PATIENT = { maxReconnectAttempts: -1, reconnectTimeWait: 100 }

/**
 * Write to a log on all of its servers with the plain NATS client, a writer on each, and follow it on each, while the leader of its
 * stream is stopped (SIGSTOP) and goes on, again and again.
 */
export async function pauseLeaders(nats: NatsServers, pauses: PausesInit): Promise<Outcome> {
  const { stream } = pauses
  await using closing = new AsyncDisposableStack()
  const connectTo = async (servers: string[]) =>
    closing.adopt(await connect({ servers, ignoreClusterUpdates: servers.length === 1, ...PATIENT }), (nc) =>
      nc.close(),
    )
  const open = async (servers: string[]) => {
    const connection = { ignoreClusterUpdates: servers.length === 1 }
    const options = { servers, stream, replicas: 3, connection } as const
    return closing.adopt(await jetstreamLog(options).open(init()), (log) => log.close())
  }
  const log = await open(nats.urls)
  const jsm = await jetstreamManager(await connectTo(nats.urls), { checkAPI: false })
  const subject = (await jsm.streams.info(stream)).config.subjects[0]!
  const acks = new Map<number, Set<string>>()
  const ends = new AbortController()
  const writing: Promise<void>[] = []
  const followers: Follower[] = []
  for (const url of nats.urls) {
    followers.push(new Follower(await open([url])))
    writing.push(write(await connectTo([url]), { subject, epoch: log.epoch, acks, ends: ends.signal }))
  }
  try {
    for (const pauseMs of pauses.pausesMs) {
      const leader = await leaderOf(jsm, nats, stream)
      leader.pause()
      await delay(pauseMs)
      leader.resume()
      await delay(pauses.settleMs)
    }
  } finally {
    ends.abort()
    await Promise.all(writing)
  }
  const { newest } = await log.bounds()
  await Promise.all(followers.map((follower) => follower.until(newest.index)))
  const held = await leadersEntries(jsm, stream, newest.index)
  const lostOf = ([seq, ids]: [number, Set<string>]) => (ids.has(held.get(seq) ?? '') ? [] : [seq])
  return {
    acknowledged: acks.size,
    twice: [...acks].flatMap(([seq, ids]) => (ids.size > 1 ? [seq] : [])),
    lost: [...acks].flatMap(lostOf),
    followers: followers.map((follower) => follower.judge(held)),
  }
}

interface WriteInit {
  readonly subject: string
  readonly epoch: string
  readonly acks: Map<number, Set<string>>
  readonly ends: AbortSignal
}

async function write(nc: NatsConnection, { subject, epoch, acks, ends }: WriteInit): Promise<void> {
  const encoder = new EntryEncoder(epoch, 'a writer')
  const inbox = `_INBOX.${encoder.encode({ kind: 'command', payload: new Uint8Array() }).id}`
  const flight = new Set<string>()
  nc.subscribe(`${inbox}.>`, {
    callback: (error, msg) => {
      const id = msg.subject.slice(inbox.length + 1)
      flight.delete(id)
      if (error !== null || msg.data.length === 0) return
      const { seq, error: refused } = msg.json<{ seq?: number; error?: unknown }>()
      if (!seq || refused !== undefined) return
      acks.set(seq, (acks.get(seq) ?? new Set()).add(id))
    },
  })
  while (!ends.aborted) {
    const { id, data } = encoder.encode({ kind: 'command', payload: new Uint8Array(50) })
    flight.add(id)
    if (flight.size > FLIGHT_MAX) flight.delete(flight.values().next().value!)
    const header = headers()
    header.set('Nats-Msg-Id', id)
    nc.publish(subject, data, { reply: `${inbox}.${id}`, headers: header })
    await delay(WRITE_MS)
  }
  const deadline = performance.now() + LAST_ACKS_MS
  while (flight.size > 0 && performance.now() < deadline) await delay(POLL_INTERVAL_MS)
}

/** The server that leads a stream. */
async function leaderOf(jsm: JetStreamManager, nats: NatsServers, stream: string): Promise<NatsServer> {
  const deadline = performance.now() + LEADER_WAIT_MS
  while (performance.now() < deadline) {
    const info = await jsm.streams.info(stream).catch(() => undefined)
    const leader = nats.servers.find(({ name }) => name === info?.cluster?.leader)
    if (leader !== undefined) return leader
    await delay(POLL_INTERVAL_MS)
  }
  throw new Error(`the stream ${stream} had no leader for ${LEADER_WAIT_MS} ms`)
}

/** What the stream's leader holds, entry by entry: a consumer reads from any of its servers. */
async function leadersEntries(
  jsm: JetStreamManager,
  stream: string,
  last: number,
): Promise<Map<number, string>> {
  const held = new Map<number, string>()
  const decoder = new EntryDecoder()
  for (let first = 1; first <= last; first += REQUESTS_MAX) {
    const sequences = Array.from({ length: Math.min(REQUESTS_MAX, last - first + 1) }, (_, n) => first + n)
    await Promise.all(
      sequences.map(async (seq) => {
        const found = await jsm.streams.getMessage(stream, { seq })
        if (found !== null) held.set(seq, decoder.decode(seq, 0, found.data).id)
      }),
    )
  }
  return held
}

class Follower {
  readonly #read = new Map<number, { readonly id: string; readonly atMs: number }>()
  readonly #stop = new AbortController()
  readonly #following: Promise<void>
  #last = 0
  #failure: { readonly name: string; readonly atMs: number } | undefined

  constructor(log: Log) {
    this.#following = this.#follow(log).catch((error: Error) => {
      this.#failure = { name: error.name, atMs: performance.now() }
    })
  }

  /** Resolves when it has read up to `index`, has failed, or had time enough. */
  async until(index: number): Promise<void> {
    const deadline = performance.now() + FOLLOW_MS
    while (this.#last < index && this.#failure === undefined && performance.now() < deadline)
      await delay(POLL_INTERVAL_MS)
    // What it was told at the very end is compared with the leader's, too.
    await delay(Math.min(FOLLOW_MS, Math.max(0, deadline - performance.now())) / 2)
    this.#stop.abort()
    await this.#following
  }

  judge(held: ReadonlyMap<number, string>): Followed {
    const dead = [...this.#read].filter(([index, { id }]) => held.get(index) !== id)
    const since = Math.min(...dead.map(([, { atMs }]) => atMs))
    return {
      entries: this.#read.size,
      dead: dead.length,
      failure: this.#failure?.name,
      toldAfterMs: this.#failure && dead.length > 0 ? this.#failure.atMs - since : undefined,
    }
  }

  async #follow(log: Log): Promise<void> {
    for await (const { entries } of log.follow({ index: 0 }, { signal: this.#stop.signal })) {
      const atMs = performance.now()
      for (const { index, id } of entries) this.#read.set(index, { id, atMs })
      this.#last = entries.at(-1)!.index
    }
  }
}
