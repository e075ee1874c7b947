import { channel } from 'node:diagnostics_channel'
import { type Clock, systemClock } from './clock.ts'

/**
 * A slice, in milliseconds: long enough to get work done, and too short for others on the event loop to
 * notice.
 */
export const SLICE_MS = 5
/**
 * A slice of work that can wait. Beside work in longer slices it gets a tenth of the time, and alone all of
 * it.
 */
export const BACKGROUND_SLICE_MS = 0.5

/** What is published for each span of work that held the event loop. */
export interface Span {
  /** Names the work. */
  readonly what: string
  /** How long it held the event loop, in milliseconds. */
  readonly tookMs: number
  /**
   * The processor time of this thread, in milliseconds: what the work took, without what others had
   * meanwhile.
   */
  readonly cpuMs: number
}

/**
 * The diagnostics channel of spans. Subscribe to see how long work holds the event loop. Unwatched it costs
 * nothing.
 */
export const SPANS = 'anchorage:stretch'
const spans = channel(SPANS)

/** Do synchronous work, and say how long it held the event loop. */
export function traceSync<T>(what: string, work: () => T): T {
  if (!spans.hasSubscribers) return work()
  const began = begin()
  try {
    return work()
  } finally {
    publish(what, began)
  }
}

interface Beginning {
  readonly atMs: number
  readonly cpu: NodeJS.CpuUsage
}

function begin(): Beginning {
  return { atMs: systemClock.now(), cpu: process.threadCpuUsage() }
}

function publish(what: string, { atMs, cpu }: Beginning): void {
  const { user, system } = process.threadCpuUsage(cpu)
  spans.publish({
    what,
    tookMs: systemClock.now() - atMs,
    cpuMs: (user + system) / 1_000,
  } satisfies Span)
}

/**
 * Cuts long synchronous work into slices. Ask `due()` often; when it says yes, `await rest()`.
 *
 *     for (const item of many) { work(item); if (yielder.due()) await yielder.rest() }
 *
 * Work may come in pieces, with other things to wait for in between. It calls `resume()` before each piece
 * and `pause()` after it. A slice then goes on from piece to piece, so that many small pieces in a row do not
 * hold the event loop either.
 */
export class Yielder {
  readonly #clock: Clock
  readonly #what: string
  readonly #sliceMs: number
  #beganMs: number
  #span: Beginning | undefined

  /** @param what names the work in the spans */
  constructor(clock: Clock, what: string, sliceMs: number = SLICE_MS) {
    this.#clock = clock
    this.#what = what
    this.#sliceMs = sliceMs
    this.#beganMs = clock.now()
    this.resume()
  }

  due(): boolean {
    return this.#clock.now() - this.#beganMs >= this.#sliceMs
  }

  async rest(): Promise<void> {
    this.pause()
    await this.#clock.turn()
    this.#beganMs = this.#clock.now()
    this.resume()
  }

  resume(): void {
    if (spans.hasSubscribers) this.#span = begin()
  }

  pause(): void {
    if (this.#span !== undefined) publish(this.#what, this.#span)
    this.#span = undefined
  }
}
