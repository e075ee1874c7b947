import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/** A process that writes a line a millisecond for an hour must not fill its parent's memory. */
const LINES_MAX = 1_000

/** The newest 1,000 lines of a process's output. */
export class OutputLines {
  readonly #lines: string[] = []

  get lines(): readonly string[] {
    return this.#lines
  }

  /** Keep what comes from one of the process's streams. */
  keep(stream: Readable | null): void {
    if (stream === null) return
    createInterface({ input: stream }).on('line', (line) => {
      this.#lines.push(line)
      if (this.#lines.length > LINES_MAX) this.#lines.shift()
    })
  }
}
