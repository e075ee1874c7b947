import type { Uint8ArrayList } from 'uint8arraylist'
import type { Clock, Timer } from '../../time/clock.ts'
import { PeerUnavailable } from '../errors.ts'
import type { ByteStream } from './frames.ts'

/**
 * A peer that takes fewer bytes a second of those that wait for it is cut off, because it holds room that
 * others wait for. If nine providers share a link of 0.3 MB/s, that is still fast enough.
 */
const TAKEN_BYTES_PER_S_MIN = 32 * 1024

/**
 * The sending side of one stream. A peer must take a frame, with the rest of earlier ones, within
 * `timeoutMs`, or at least 32 KiB/s of it; otherwise the stream is cut off. Otherwise a peer that takes
 * nothing would hold an offer, and memory, for ever.
 */
export class FrameWriter {
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
    this.#sent++
    try {
      const sending = this.#stream.send(frame)
      this.#beginWatch()
      await sending
    } finally {
      void this.#endWatch()
    }
  }

  #beginWatch(): void {
    const timeoutMs = this.#timeoutMs
    const enough = (timeoutMs / 1_000) * TAKEN_BYTES_PER_S_MIN
    const { unsentBytes } = this.#stream
    this.#watch?.cancel()
    this.#watch = this.#clock.schedule(timeoutMs, () => {
      if (unsentBytes - this.#stream.unsentBytes >= enough) this.#beginWatch()
      else this.#stream.abort(new PeerUnavailable(`the peer did not take a frame within ${timeoutMs} ms`))
    })
  }

  /** The watch ends when nothing waits any more, unless more was sent meanwhile. */
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
