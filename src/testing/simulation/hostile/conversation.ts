import type { Uint8ArrayList } from 'uint8arraylist'
import { RESPONSE_BYTES_MAX } from '../../../sync/limits.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame } from '../../../sync/wire/frames.ts'
import { decodeResponse, encodeRequest, type RequestBody, type Scope } from '../../../sync/wire/messages.ts'
import { type Answer, rawBytes } from './lies.ts'

/** A stream of the protocol whose requests and answers pass by hand. */
export class Conversation {
  readonly #stream: ByteStream
  readonly #scope: Scope
  readonly #frames: AsyncGenerator<Frame>
  #lastId = 0

  constructor(stream: ByteStream, scope: Scope) {
    this.#stream = stream
    this.#scope = scope
    this.#frames = decodeFrames(stream.source, RESPONSE_BYTES_MAX)
  }

  /** Send a request without waiting for its answer. */
  async send(body: RequestBody): Promise<void> {
    await this.sendBytes(encodeFrame({ header: encodeRequest({ id: ++this.#lastId, ...this.#scope, body }) }))
  }

  async sendBytes(bytes: Uint8Array | Uint8ArrayList): Promise<void> {
    await this.#stream.send(rawBytes(bytes))
  }

  /** The next answer; undefined when there will be none. */
  async next(): Promise<Answer | undefined> {
    const { value } = await this.#frames.next()
    if (value === undefined) return undefined
    const { header, payload } = value as Frame
    return { ...decodeResponse(header), ...(payload && { payload }) }
  }

  async ask(body: RequestBody): Promise<Answer | undefined> {
    await this.send(body)
    return await this.next()
  }

  end(why: string): void {
    this.#stream.abort(new Error(why))
  }
}
