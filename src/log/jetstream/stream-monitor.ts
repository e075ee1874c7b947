import { LogClosed, LogUnavailable } from '../errors.ts'
import { any, type Link } from './link.ts'
import type { Stream, StreamTail } from './stream.ts'

/** Throws what makes waiting vain. */
type Check = (tail: StreamTail, signal: AbortSignal) => Promise<void>

/** Longer than servers take to elect a leader. */
const ANSWER_MS = 15_000

interface Waiting {
  readonly check: Check | undefined
  readonly trouble: AbortController
}

/**
 * Looks at the stream now and then while somebody waits for it to go on: the servers tell nobody that it was deleted, made anew or put
 * back.
 */
export class StreamMonitor {
  readonly #link: Link
  readonly #stream: Stream
  readonly #pollMs: number
  readonly #waiting = new Set<Waiting>()
  #timer: NodeJS.Timeout | undefined
  #looking = false

  constructor(link: Link, stream: Stream, pollMs: number) {
    this.#link = link
    this.#stream = stream
    this.#pollMs = pollMs
  }

  /** Look until `signal` aborts. The returned signal aborts with the reason why waiting is vain, by then. */
  until(signal: AbortSignal, check?: Check): AbortSignal {
    const waiting = { check, trouble: new AbortController() }
    if (signal.aborted) return waiting.trouble.signal
    this.#waiting.add(waiting)
    this.#timer ??= setInterval(() => this.#look(), this.#pollMs)
    signal.addEventListener('abort', () => {
      this.#waiting.delete(waiting)
      if (this.#waiting.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    })
    return waiting.trouble.signal
  }

  async #look(): Promise<void> {
    if (this.#looking || !this.#link.linked) return
    this.#looking = true
    try {
      const tail = await this.#stream.look({ signal: AbortSignal.timeout(ANSWER_MS) })
      this.#link.answers(true)
      const patience = AbortSignal.timeout(ANSWER_MS)
      const checks = [...this.#waiting].map(async ({ check, trouble }) => {
        try {
          await check?.(tail, any(trouble.signal, patience))
        } catch (error) {
          // What could not be found out now is at the next look.
          if (!(error instanceof LogUnavailable || patience.aborted)) trouble.abort(error)
        }
      })
      await Promise.all(checks)
    } catch (error) {
      if (error instanceof LogUnavailable || (error as Error).name === 'TimeoutError') {
        return this.#link.answers(false)
      }
      if (error instanceof LogClosed) return
      for (const { trouble } of this.#waiting) trouble.abort(error)
    } finally {
      this.#looking = false
    }
  }
}
