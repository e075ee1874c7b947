import type { SimulatedEndpoint } from './endpoint.ts'
import type { StreamEnd } from './stream.ts'

/** A dial that is under way. */
export class Dial {
  readonly from: SimulatedEndpoint
  /** The node that is dialled. */
  readonly node: string
  readonly #outcome = Promise.withResolvers<StreamEnd>()
  #stream: StreamEnd | undefined
  #isOver = false

  constructor(from: SimulatedEndpoint, node: string, signal: AbortSignal) {
    this.from = from
    this.node = node
    const onAbort = () => this.fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const leave = () => signal.removeEventListener('abort', onAbort)
    this.#outcome.promise.then(leave, leave)
  }

  get outcome(): Promise<StreamEnd> {
    return this.#outcome.promise
  }

  /** Nobody waits for it any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The other side has the stream; the dialler is about to hear of it. */
  set stream(stream: StreamEnd) {
    this.#stream = stream
  }

  succeed(stream: StreamEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#outcome.resolve(stream)
  }

  /** It fails, or is given up. A stream that is there already is reset. */
  fail(reason: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#outcome.reject(reason)
    this.#stream?.abort(reason)
  }
}
