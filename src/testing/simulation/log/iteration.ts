import { Notifier } from '../../../log/notifier.ts'
import type { Timer } from '../../../time/clock.ts'
import type { Line } from './line.ts'

/** One reader that waits for news. */
export class Iteration implements Disposable {
  readonly #line: Line
  readonly #waiting: Set<() => void>
  readonly #signal: AbortSignal | undefined
  readonly #notifier = new Notifier()
  #timer: Timer | undefined
  #dueMs = Number.NEGATIVE_INFINITY

  /** @param waiting those that are told of news; this one is among them until it is disposed of */
  constructor(line: Line, waiting: Set<() => void>, signal: AbortSignal | undefined) {
    this.#line = line
    this.#waiting = waiting
    this.#signal = signal
    waiting.add(this.#notifier.notify)
    signal?.addEventListener('abort', this.#notifier.notify)
  }

  get isOver(): boolean {
    return this.#line.isClosed || this.#signal?.aborted === true
  }

  /** Resolves at the next news, at the time that was asked for, and when it is over. */
  async wait(): Promise<void> {
    await this.#notifier.wait()
    if (!this.#line.isAwake) await this.#line.awake()
  }

  /** Do not wait beyond this time of the world. */
  wakeAt(dueMs: number): void {
    if (dueMs === this.#dueMs) return
    this.#dueMs = dueMs
    this.#timer?.cancel()
    this.#timer = this.#line.life.schedule(dueMs - this.#line.life.world.nowMs, this.#notifier.notify)
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel()
    this.#waiting.delete(this.#notifier.notify)
    this.#signal?.removeEventListener('abort', this.#notifier.notify)
  }
}
