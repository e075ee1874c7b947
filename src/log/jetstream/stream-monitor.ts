import { JetStreamApiCodes } from '@nats-io/jetstream'
import { asError } from '../../thrown.ts'
import { Deadline, type Timer } from '../../time/clock.ts'
import { LogClosed, LogUnavailable } from '../errors.ts'
import { any } from '../pause.ts'
import { codeOf, type Link } from './link.ts'
import type { Stream, StreamTail } from './stream.ts'

/** Throws if the stream can no longer deliver. */
type Check = (tail: StreamTail, signal: AbortSignal) => Promise<void>

/** How long one look waits for answers, in milliseconds: longer than servers take to elect a leader. */
const ANSWER_MS = 15_000

interface Waiting {
  readonly check: Check | undefined
  readonly trouble: AbortController
}

/**
 * Looks at the stream at intervals while readers wait for entries. The servers do not report that a stream
 * was deleted, made anew or put back.
 */
export class StreamMonitor {
  readonly #link: Link
  readonly #stream: Pick<Stream, 'look'>
  readonly #pollMs: number
  readonly #waiting = new Set<Waiting>()
  #timer: Timer | undefined
  #looking = false

  constructor(link: Link, stream: Pick<Stream, 'look'>, pollMs: number) {
    this.#link = link
    this.#stream = stream
    this.#pollMs = pollMs
  }

  /**
   * Look until `signal` aborts. The returned signal aborts if the stream can no longer deliver, with the
   * reason.
   */
  until(signal: AbortSignal, check?: Check): AbortSignal {
    const waiting = { check, trouble: new AbortController() }
    if (signal.aborted) return waiting.trouble.signal
    this.#waiting.add(waiting)
    if (this.#timer === undefined) this.#arm()
    signal.addEventListener('abort', () => {
      this.#waiting.delete(waiting)
      if (this.#waiting.size > 0) return
      this.#timer?.cancel()
      this.#timer = undefined
    })
    return waiting.trouble.signal
  }

  #arm(): void {
    this.#timer = this.#link.clock.schedule(this.#pollMs, () => {
      this.#arm()
      void this.#look()
    })
  }

  async #look(): Promise<void> {
    if (this.#looking || !this.#link.linked) return
    this.#looking = true
    try {
      using answer = new Deadline(this.#link.clock, ANSWER_MS)
      const tail = await this.#stream.look({ signal: answer.signal })
      this.#link.answers(true)
      using patience = new Deadline(this.#link.clock, ANSWER_MS)
      const checks = [...this.#waiting].map(async ({ check, trouble }) => {
        try {
          await check?.(tail, any(trouble.signal, patience.signal))
        } catch (error) {
          // A check that got no answer is repeated at the next look. If the stream is gone, that look says so.
          const isGone = codeOf(error) === JetStreamApiCodes.StreamNotFound
          if (isGone || error instanceof LogUnavailable || patience.signal.aborted) return
          trouble.abort(error)
        }
      })
      await Promise.all(checks)
    } catch (error) {
      if (error instanceof LogUnavailable || asError(error).name === 'TimeoutError') {
        return this.#link.answers(false)
      }
      if (error instanceof LogClosed) return
      for (const { trouble } of this.#waiting) trouble.abort(error)
    } finally {
      this.#looking = false
    }
  }
}
