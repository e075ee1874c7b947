import type { Uint8ArrayList } from 'uint8arraylist'
import type { Clock, Timer } from '../expiry/clock.ts'
import { PeerUnavailable } from './errors.ts'
import type { ByteStream } from './frames.ts'

/**
 * The sending side of one stream. A peer that takes nothing must not hold an offer, nor what waits in its stream: when a frame,
 * or what is left of the last ones, is not taken in time, the stream is cut off.
 */
export class Outlet {
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #timeoutMs: number
  #watch: Timer | undefined
  #sent = 0
  #flushing = false

  constructor(stream: ByteStream, clock: Clock, timeoutMs: number) {
    this.#stream = stream
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** Resolves when there is room for the next frame. */
  async send(frame: Uint8ArrayList): Promise<void> {
    const timeoutMs = this.#timeoutMs
    this.#watch?.cancel()
    this.#watch = this.#clock.schedule(timeoutMs, () => {
      this.#stream.abort(new PeerUnavailable(`the peer did not take a frame within ${timeoutMs} ms`))
    })
    this.#sent++
    try {
      await this.#stream.send(frame)
    } finally {
      void this.#endWatch()
    }
  }

  /** The watch ends when nothing is left waiting, unless more was sent meanwhile. */
  async #endWatch(): Promise<void> {
    if (this.#flushing) return
    this.#flushing = true
    let upTo: number
    do {
      upTo = this.#sent
      await this.#stream.flushed().catch(() => {})
    } while (upTo !== this.#sent)
    this.#flushing = false
    this.#watch?.cancel()
  }
}
