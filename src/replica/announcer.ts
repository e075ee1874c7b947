import type { Clock, Timer } from '../expiry/clock.ts'

export interface AnnouncerInit {
  readonly clock: Clock
  readonly intervalMs: number
  readonly announce: () => Promise<void>
  readonly onError: (error: Error) => void
}

/** Announces at an interval and when something changed; never twice at once, and never an outdated state last. */
export class Announcer {
  readonly #init: AnnouncerInit
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #again: Promise<void> | undefined
  #stopped = false

  constructor(init: AnnouncerInit) {
    this.#init = init
  }

  /** Resolves when what is true now has been announced. */
  now(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    if (this.#again !== undefined) return this.#again
    if (this.#running === undefined) return this.#run()
    this.#again = this.#running.then(
      () => this.#run(),
      () => this.#run(),
    )
    return this.#again
  }

  /** Announce without waiting for it. A failure is reported, and mended by the next interval. */
  soon(): void {
    this.now().catch(this.#init.onError)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await Promise.allSettled([this.#running, this.#again])
  }

  #run(): Promise<void> {
    this.#timer?.cancel()
    this.#again = undefined
    this.#running = this.#init.announce().finally(() => {
      this.#running = undefined
      if (!this.#stopped) this.#timer = this.#init.clock.schedule(this.#init.intervalMs, () => this.soon())
    })
    return this.#running
  }
}
