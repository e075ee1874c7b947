import type { Uint8ArrayList } from 'uint8arraylist'
import type { EncodedChunk } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import type { Clock, Timer } from '../../time/clock.ts'
import { PeerUnavailable, SyncError } from '../errors.ts'
import type { Answer } from '../host.ts'
import { REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX } from '../limits.ts'
import { Malformed } from './errors.ts'
import { type ByteStream, CutShort, decodeFrames, encodeFrame, type Frame } from './frames.ts'
import { decodeResponse, encodeRequest, type RequestBody, type ResponseBody, type Scope } from './messages.ts'
import { ProvenFault } from './proven-fault.ts'
import type { Pulse } from './pulse.ts'

export interface ChannelInit {
  readonly stream: ByteStream
  readonly scope: Scope
  readonly clock: Clock
  /** How long the peer may send nothing while an answer is due, in milliseconds. */
  readonly timeoutMs: number
  /** Counts what the peer sends, on this stream and others. */
  readonly pulse: Pulse
  /** The channel ended because of bytes that the peer sent, or because of a fault that `abort` was given. */
  readonly onProof?: ((proof: ProvenFault) => void) | undefined
}

/**
 * A peer that sends fewer bytes a second than this counts as silent, and others are asked. Otherwise a peer
 * that sends a byte now and then would hold a session for ever.
 */
const HEARD_BYTES_PER_S_MIN = 3 * 1024
/**
 * An answer that is no range of chunks must come within this many timeouts, whatever else its peer sends. By
 * default that is a minute.
 */
const ANSWER_TIMEOUTS = 12

/** Their answers may be long, and come over a slow link. */
const RAW: readonly RequestBody['type'][] = ['chunks', 'hints', 'items', 'query']

/** The id of an error that belongs to no request: the peer reads no more of this stream. */
const NO_REQUEST = 0

interface Due {
  readonly id: number
  /** From this time on the answer is late, whatever else the peer sends. */
  readonly untilMs: number
  /** Takes one answer. Returns true if it was the last one. */
  readonly take: (body: ResponseBody, payload: Uint8Array | undefined) => boolean
  readonly fail: (error: Error) => void
}

type Answered<T extends ResponseBody['type']> = Extract<ResponseBody, { type: T }>

/**
 * The asking side of one long-lived stream. Requests are pipelined, and the peer answers them in order. The
 * channel ends if the peer sends nothing for `timeoutMs` while an answer is due, or sends bytes that are no
 * answer. Every request that is due then rejects with `PeerUnavailable` or `ProvenFault`.
 */
export class Channel {
  readonly #init: ChannelInit
  readonly #due: Due[] = []
  #lastId = 0
  #chunksDue = 0
  #silence: Timer | undefined
  #ended: Error | undefined

  constructor(init: ChannelInit) {
    this.#init = init
    this.#receive().catch((error) => this.#end(asProof(asError(error))))
  }

  get open(): boolean {
    return this.#ended === undefined
  }

  /** When the peer last sent anything. */
  get heardAtMs(): number {
    return this.#init.pulse.atMs
  }

  /** Chunks that were asked for on this stream and have not come yet. */
  get chunksDue(): number {
    return this.#chunksDue
  }

  /**
   * Send one request that has one answer, of the given type. Rejects with the error that the peer answers.
   */
  request<T extends ResponseBody['type']>(body: RequestBody, type: T): Promise<Answered<T>> {
    return new Promise((resolve, reject) => {
      this.#ask(body, reject, (answer) => {
        if (answer.type !== type)
          throw new Malformed(`the peer answered ${answer.type} where ${type} was due`)
        resolve(answer as Answered<T>)
        return true
      })
    })
  }

  /** Ask the machine of the peer. Rejects with the error that the peer answers. */
  async query(question: Uint8Array): Promise<Answer> {
    const { answer, payload } = await this.#told({ type: 'query', question }, 'answer')
    return { bytes: answer.found ? payload : undefined, index: answer.index }
  }

  /** Ask what the peer knows of itself and the group. The result is JSON. */
  async status(): Promise<Uint8Array> {
    return (await this.#told({ type: 'status' }, 'status')).payload
  }

  /** Send one request whose answer is raw bytes. */
  payload<T extends 'hints' | 'items'>(
    request: Extract<RequestBody, { type: T }>,
  ): Promise<{ readonly answer: Answered<T>; readonly payload: Uint8Array }> {
    const body: Extract<RequestBody, { type: 'hints' | 'items' }> = request
    return new Promise((resolve, reject) => {
      this.#ask(body, reject, (answer, payload = new Uint8Array()) => {
        if (answer.type !== body.type || answer.index !== body.index) {
          throw new Malformed(
            `the peer sent something else where ${body.type} of chunk ${body.index} were due`,
          )
        }
        resolve({ answer: answer as Answered<T>, payload })
        return true
      })
    })
  }

  #told<T extends 'answer' | 'status'>(
    body: RequestBody,
    type: T,
  ): Promise<{ readonly answer: Answered<T>; readonly payload: Uint8Array }> {
    return new Promise((resolve, reject) => {
      this.#ask(body, reject, (answer, payload = new Uint8Array()) => {
        if (answer.type !== type)
          throw new Malformed(`the peer answered ${answer.type} where ${type} was due`)
        resolve({ answer: answer as Answered<T>, payload })
        return true
      })
    })
  }

  /**
   * Fetch a range of chunks. `onChunk` gets each chunk in order; an error that it throws ends the channel.
   */
  fetch(
    range: Extract<RequestBody, { type: 'chunks' }>,
    onChunk: (index: number, chunk: EncodedChunk) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let next = range.first
      const end = range.first + range.count
      this.#chunksDue += range.count
      const fail = (error: Error) => {
        this.#chunksDue -= end - next
        reject(error)
      }
      this.#ask(range, fail, (answer, payload) => {
        if (answer.type !== 'chunk' || answer.index !== next || payload === undefined) {
          throw new Malformed(`the peer sent something else where chunk ${next} was due`)
        }
        this.#chunksDue--
        onChunk(next++, { encoding: answer.encoding, bytes: payload })
        if (next < end) return false
        resolve()
        return true
      })
    })
  }

  async close(): Promise<void> {
    if (!this.open) return
    this.#end(new PeerUnavailable('the channel was closed'), { abort: false })
    await this.#init.stream.close().catch(() => {})
  }

  abort(reason: Error): void {
    this.#end(reason)
  }

  #ask(body: RequestBody, fail: Due['fail'], take: Due['take']): void {
    if (this.#ended !== undefined) return fail(this.#ended)
    const id = ++this.#lastId
    let frame: Uint8ArrayList
    try {
      frame = encodeFrame({ header: encodeRequest({ id, ...this.#init.scope, body }) }, REQUEST_BYTES_MAX)
    } catch (error) {
      return fail(asError(error))
    }
    const { clock, timeoutMs } = this.#init
    const isRaw = RAW.includes(body.type)
    const untilMs = isRaw ? Number.POSITIVE_INFINITY : clock.now() + ANSWER_TIMEOUTS * timeoutMs
    this.#due.push({ id, untilMs, take, fail })
    if (this.#due.length === 1) this.#listen()
    this.#init.stream.send(frame).catch((error) => this.#end(asError(error)))
  }

  async #receive(): Promise<void> {
    const source = this.#heard(this.#init.stream.source)
    for await (const frame of decodeFrames(source, RESPONSE_BYTES_MAX)) this.#take(frame)
    throw new PeerUnavailable('the peer ended the stream')
  }

  async *#heard(source: ByteStream['source']): AsyncGenerator<Uint8Array | Uint8ArrayList> {
    for await (const piece of source) {
      this.#init.pulse.beat(piece.byteLength, this.#init.clock.now())
      yield piece
    }
  }

  #take(frame: Frame): void {
    const { id, body } = decodeResponse(frame.header)
    if (id === NO_REQUEST && body.type === 'error') return this.#end(body.error)
    const due = this.#due[0]
    if (due === undefined || due.id !== id) throw new Malformed('the peer sent an answer nobody asked for')
    this.#listen()
    if (body.type === 'error') {
      this.#due.shift()
      due.fail(body.error)
    } else if (due.take(body, frame.payload)) {
      this.#due.shift()
    }
    if (this.#due.length === 0) this.#silence?.cancel()
  }

  /**
   * Restart the watch on the peer's silence. While enough of a large frame comes over a slow link, the peer
   * is not silent.
   */
  #listen(): void {
    const { clock, timeoutMs, pulse } = this.#init
    const { bytes } = pulse
    const enough = (timeoutMs / 1_000) * HEARD_BYTES_PER_S_MIN
    this.#silence?.cancel()
    this.#silence = clock.schedule(timeoutMs, () => {
      const isOverdue = clock.now() >= (this.#due[0]?.untilMs ?? Number.POSITIVE_INFINITY)
      if (pulse.bytes - bytes >= enough && !isOverdue) this.#listen()
      else this.#end(new PeerUnavailable(`the peer sent nothing for ${timeoutMs} ms`))
    })
  }

  #end(cause: Error, options: { abort: boolean } = { abort: true }): void {
    if (this.#ended !== undefined) return
    const error =
      cause instanceof SyncError
        ? cause
        : new PeerUnavailable(`the stream broke: ${cause.message}`, { cause })
    this.#ended = error
    this.#silence?.cancel()
    if (options.abort) this.#init.stream.abort(error)
    for (const due of this.#due.splice(0)) due.fail(error)
    if (error instanceof ProvenFault) this.#init.onProof?.(error)
  }
}

/**
 * Bytes that cannot be understood prove a fault of their sender. If only their end is missing they do not,
 * because the sender may have died.
 */
function asProof(error: Error): Error {
  if (error instanceof CutShort) return new PeerUnavailable(error.message, { cause: error })
  return error instanceof Malformed ? new ProvenFault(error.message, { cause: error }) : error
}
