import type { IncomingMessage, ServerResponse } from 'node:http'
import { headersOf } from '../answer.ts'
import type { FedEvent } from './event-feed.ts'

/** How soon a browser comes back after its stream broke, in milliseconds. */
const RETRY_MS = 1_000
/** What may wait for a client, in bytes. One that reads more slowly is dropped, and comes back if it likes. */
const WAITING_BYTES_MAX = 1024 * 1024
/** A client that does not take a view in this time, in milliseconds, is dropped. */
const STALLED_MS_MAX = 30_000

/** A view, as it is sent. */
export interface SentView {
  readonly number: number
  readonly json: string
}

/** One connection to which views and events are sent, as server-sent events. */
export class LiveClient {
  readonly #response: ServerResponse
  /** The number of the view that it was sent last. */
  #seen = 0
  /** When it had taken all that it was sent. */
  #freeMs: number

  constructor(request: IncomingMessage, response: ServerResponse, nowMs: number) {
    this.#response = response
    this.#freeMs = nowMs
    response.on('error', () => {
      // It is gone, which `close` tells.
    })
    // The server closes connections that are idle. This one has its own bound: see `show`.
    request.socket.setTimeout(0)
    response.writeHead(200, headersOf('text/event-stream; charset=utf-8'))
    response.write(`retry: ${RETRY_MS}\n\n`)
  }

  /** Send a view, unless it was sent already. A client that has not taken the one before is sent a later one. */
  show({ number, json }: SentView, nowMs: number): void {
    const { destroyed, writableEnded, writableLength } = this.#response
    if (destroyed || writableEnded) return
    if (writableLength === 0) this.#freeMs = nowMs
    else if (nowMs - this.#freeMs >= STALLED_MS_MAX) return this.drop()
    if (number === this.#seen || writableLength > 0) return
    this.#seen = number
    this.#response.write(`event: view\ndata: ${json}\n\n`)
  }

  tell({ id, json }: FedEvent): void {
    const { destroyed, writableEnded, writableLength } = this.#response
    if (destroyed || writableEnded) return
    if (writableLength > WAITING_BYTES_MAX) this.drop()
    else this.#response.write(`event: event\nid: ${id}\ndata: ${json}\n\n`)
  }

  /** Drop it, with what it has not taken. */
  drop(): void {
    this.#response.destroy()
  }

  /** There is nothing more to tell. */
  end(): void {
    this.#response.end()
  }
}
