import type { Log } from '../../log/log.ts'

const TICK_MS = 20

/** Writes at a steady pace, some 50 times a second. Each write is an append of its own. */
export class BackgroundWriter {
  /** Writes that are durable. */
  acknowledged = 0
  readonly #log: Log
  readonly #nextCommand: () => Uint8Array
  readonly #underWay = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #failure: unknown

  constructor(log: Log, nextCommand: () => Uint8Array) {
    this.#log = log
    this.#nextCommand = nextCommand
    this.#timer = setInterval(() => this.#write(), TICK_MS)
  }

  /** Resolves when the last write is durable; rejects if one failed. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    if (this.#failure !== undefined) throw this.#failure
  }

  #write(): void {
    const write = this.#log
      .append([{ kind: 'command', payload: this.#nextCommand() }])
      .then(
        () => this.acknowledged++,
        (error: unknown) => (this.#failure ??= error),
      )
      .then(() => void this.#underWay.delete(write))
    this.#underWay.add(write)
  }
}
