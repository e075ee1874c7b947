import type { Clock, Timer } from '../expiry/clock.ts'
import type { EncodedChunk } from '../snapshot/encoding.ts'
import { Malformed, PeerUnavailable, SyncError } from './errors.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame } from './frames.ts'
import { RESPONSE_BYTES_MAX } from './limits.ts'
import { decodeResponse, encodeRequest, type RequestBody, type ResponseBody, type Scope } from './messages.ts'

export interface ChannelInit {
  readonly stream: ByteStream
  readonly scope: Scope
  readonly clock: Clock
  /** How long the peer may send nothing while an answer is due. */
  readonly timeoutMs: number
}

interface Due {
  readonly id: number
  /** Takes one answer; true when it was the last one. */
  readonly take: (body: ResponseBody, payload: Uint8Array | undefined) => boolean
  readonly fail: (error: Error) => void
}

type Answer<T extends ResponseBody['type']> = Extract<ResponseBody, { type: T }>

/**
 * The asking side of one long-lived stream. Requests are pipelined; the peer answers them in order. A peer that sends
 * nothing for `timeoutMs` while an answer is due, or something that is no answer, ends the channel: every request
 * that is due then fails with `PeerUnavailable` or `Malformed`.
 */
export class Channel {
  readonly #init: ChannelInit
  readonly #due: Due[] = []
  #lastId = 0
  #silence: Timer | undefined
  #ended: Error | undefined

  constructor(init: ChannelInit) {
    this.#init = init
    this.#receive().catch((error: Error) => this.#end(error))
  }

  get open(): boolean {
    return this.#ended === undefined
  }

  /** One request, one answer of the given type. Rejects with the error the peer answered. */
  request<T extends ResponseBody['type']>(body: RequestBody, type: T): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      this.#ask(body, reject, (answer) => {
        if (answer.type !== type)
          throw new Malformed(`the peer answered ${answer.type} where ${type} was due`)
        resolve(answer as Answer<T>)
        return true
      })
    })
  }

  /** A ranged fetch. `onChunk` gets each chunk in order; what it throws ends the channel. */
  fetch(
    range: Extract<RequestBody, { type: 'chunks' }>,
    onChunk: (index: number, chunk: EncodedChunk) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let next = range.first
      this.#ask(range, reject, (answer, payload) => {
        if (answer.type !== 'chunk' || answer.index !== next || payload === undefined) {
          throw new Malformed(`the peer sent something else where chunk ${next} was due`)
        }
        onChunk(next++, { encoding: answer.encoding, bytes: payload })
        if (next < range.first + range.count) return false
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
    this.#due.push({ id, take, fail })
    if (this.#due.length === 1) this.#listen()
    const header = encodeRequest({ id, ...this.#init.scope, body })
    this.#init.stream.send(encodeFrame({ header })).catch((error: Error) => this.#end(error))
  }

  async #receive(): Promise<void> {
    for await (const frame of decodeFrames(this.#init.stream.source, RESPONSE_BYTES_MAX)) this.#take(frame)
    throw new PeerUnavailable('the peer ended the stream')
  }

  #take(frame: Frame): void {
    const { id, body } = decodeResponse(frame.header)
    const due = this.#due[0]
    if (due === undefined || due.id !== id) {
      throw body.type === 'error' ? body.error : new Malformed('the peer sent an answer nobody asked for')
    }
    this.#listen()
    if (body.type === 'error') {
      this.#due.shift()
      due.fail(body.error)
    } else if (due.take(body, frame.payload)) {
      this.#due.shift()
    }
    if (this.#due.length === 0) this.#silence?.cancel()
  }

  /** (Re)start the watch on the peer's silence. */
  #listen(): void {
    const { clock, timeoutMs } = this.#init
    this.#silence?.cancel()
    this.#silence = clock.schedule(timeoutMs, () => {
      this.#end(new PeerUnavailable(`the peer sent nothing for ${timeoutMs} ms`))
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
  }
}
