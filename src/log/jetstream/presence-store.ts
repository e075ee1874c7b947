import { DeliverPolicy, JetStreamApiCodes } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import type { Msg } from '@nats-io/transport-node'
import { LogUnavailable } from '../errors.ts'
import { checkPresence, PRESENCE_TTL_MS_MAX } from '../limits.ts'
import type { SignalOptions } from '../log.ts'
import { any, Pause } from '../pause.ts'
import type { Presence, PresenceStore } from '../presence.ts'
import { openBucket, streamOf } from './bucket.ts'
import { codeOf, type Link } from './link.ts'
import { encodeName } from './names.ts'
import { pull } from './pull.ts'
import { ServerClock } from './server-clock.ts'
import { type Stream, streamInfo } from './stream.ts'

/** The TTL that precedes an announcement in its value: a float of 64 bits. */
const TTL_BYTES = 8

export interface PresenceStoreInit {
  readonly link: Link
  readonly stream: Stream
  /** The largest presence at this moment, in bytes. */
  readonly maxBytes: () => number
  /** Aborts when the log closes. */
  readonly closing: AbortSignal
  /**
   * Checks the log's stream until `signal` aborts. The returned signal aborts if the stream can no longer
   * deliver, with the reason.
   */
  readonly monitor: (signal: AbortSignal) => AbortSignal
}

interface Written {
  readonly data: Uint8Array
  readonly ttlMs: number
  readonly writtenMs: number
  readonly sequence: number
}

/**
 * The presence store in a key-value bucket, with one key for each member: the log's epoch, a dot, and `=`
 * followed by the member's name. A presence's age is judged by the servers' clock.
 */
export class JetstreamPresenceStore implements PresenceStore {
  readonly #init: PresenceStoreInit
  readonly #bucket: string
  readonly #prefix: string
  readonly #replicas: number
  #kv: Promise<KV> | undefined

  constructor(init: PresenceStoreInit) {
    this.#init = init
    this.#bucket = init.stream.bucket
    this.#prefix = `${encodeName(init.stream.epoch)}.`
    this.#replicas = init.stream.replicas
  }

  async announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void> {
    checkPresence(member, data, ttlMs, this.#init.maxBytes(), { place: this.#init.link.place })
    const value = new Uint8Array(TTL_BYTES + data.byteLength)
    new DataView(value.buffer).setFloat64(0, ttlMs)
    value.set(data, TTL_BYTES)
    await this.#change((kv) => kv.put(this.#key(member), value), options)
  }

  async withdraw(member: string, options?: SignalOptions): Promise<void> {
    await this.#change((kv) => kv.purge(this.#key(member)), options)
  }

  async read(options?: SignalOptions): Promise<Presence[]> {
    for await (const presences of this.#watch(false, options)) return presences
    options?.signal?.throwIfAborted()
    throw this.#init.closing.reason
  }

  watch(options?: SignalOptions): AsyncIterable<Presence[]> {
    return this.#watch(true, options)
  }

  /**
   * Change a key. A put and a purge may both be repeated, because the bucket keeps the newest value of a key.
   */
  async #change(change: (kv: KV) => Promise<unknown>, options?: SignalOptions): Promise<void> {
    const { link, stream } = this.#init
    await stream.look(options)
    const kv = await this.#open()
    await link.ask(() => change(kv), options)
  }

  /**
   * The presences, and again after each change, until the signal aborts. It begins again after each loss of
   * connection.
   */
  async *#watch(patient: boolean, options: SignalOptions = {}): AsyncGenerator<Presence[]> {
    const { link, stream, closing, monitor } = this.#init
    const ends = any(options.signal, closing)
    if (options.signal?.aborted) return
    const stop = new AbortController()
    const trouble = monitor(any(ends, stop.signal))
    const signal = AbortSignal.any([ends, trouble])
    const pause = new Pause()
    try {
      while (!signal.aborted) {
        try {
          await stream.look({ signal })
          await this.#open()
          for await (const presences of this.#presences(signal)) {
            yield presences
            pause.reset()
          }
        } catch (error) {
          if (signal.aborted) break
          // The bucket was removed: make it again.
          if (codeOf(error) === JetStreamApiCodes.StreamNotFound) this.#kv = undefined
          else if (!patient || !(error instanceof LogUnavailable)) throw error
        }
        await pause.wait(signal)
        if (patient) await link.whenConnected(signal).catch(() => {})
      }
      if (trouble.aborted && !ends.aborted) throw trouble.reason
    } finally {
      stop.abort()
    }
  }

  /** What one consumer delivers, until it ends. */
  async *#presences(signal: AbortSignal): AsyncGenerator<Presence[]> {
    const { link } = this.#init
    const stream = streamOf(this.#bucket)
    const subjects = `$KV.${this.#bucket}.${this.#prefix}`
    const clock = new ServerClock(link.clock)
    const board = new Map<string, Written>()
    // The keys that exist now. A consumer's `pending` cannot tell when all are read: it counts values that
    // were replaced meanwhile, and then never reaches 0.
    const { state } = await link.ask((jsm) => streamInfo(jsm, stream, { subjects_filter: `${subjects}>` }), {
      signal,
    })
    const unseen = new Set(Object.keys(state.subjects ?? {}))
    const consumer = { deliver_policy: DeliverPolicy.LastPerSubject, filter_subject: `${subjects}>` }
    const init = {
      link,
      stream,
      signal,
      consumer,
      onMade: (madeMs: number, pending: number) => {
        clock.heard(madeMs)
        if (pending === 0) unseen.clear()
      },
    }
    for await (const delivered of pull(init)) {
      for (const { msg, timestampMs, sequence, pending } of delivered) {
        clock.heard(timestampMs)
        unseen.delete(msg.subject)
        if (pending === 0) unseen.clear()
        const key = msg.subject.slice(subjects.length + 1)
        const written = isDeleted(msg) ? undefined : decode(msg.data, timestampMs, sequence)
        if (written === undefined) board.delete(key)
        else board.set(key, written)
      }
      if (unseen.size === 0) yield presencesOf(board, clock)
    }
  }

  #key(member: string): string {
    return `${this.#prefix}=${encodeName(member)}`
  }

  /** The bucket, made if there is none. After a failure the next call tries again. */
  async #open(): Promise<KV> {
    const { link } = this.#init
    this.#kv ??= openBucket(link, this.#bucket, (kvm) =>
      kvm.create(this.#bucket, { replicas: this.#replicas, ttl: PRESENCE_TTL_MS_MAX, history: 1 }),
    )
    try {
      return await this.#kv
    } catch (error) {
      this.#kv = undefined
      throw error
    }
  }
}

function presencesOf(board: Map<string, Written>, clock: ServerClock): Presence[] {
  return Array.from(board, ([key, { data, ttlMs, writtenMs, sequence }]) => ({
    member: decodeName(key),
    data,
    ttlMs,
    ageMs: clock.ageMs(writtenMs),
    version: sequence,
  }))
}

function isDeleted({ headers }: Msg): boolean {
  return headers !== undefined && headers.get('KV-Operation') !== ''
}

function decode(value: Uint8Array, writtenMs: number, sequence: number): Written | undefined {
  if (value.byteLength < TTL_BYTES) return undefined
  const ttlMs = new DataView(value.buffer, value.byteOffset).getFloat64(0)
  return { data: value.subarray(TTL_BYTES), ttlMs, writtenMs, sequence }
}

/** Decodes what `encodeName` wrote. */
function decodeName(name: string): string {
  const bytes = name.replace(/_([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
