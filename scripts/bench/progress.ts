/** The part of a stream that is needed to show progress. */
export interface Terminal {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const ERASE_LINE = '\r\x1b[K'

/** Shows on a terminal how far the measuring is. A file or a pipe gets nothing. */
export class Progress {
  readonly #terminal: Terminal
  readonly #total: number
  readonly #beganMs = performance.now()
  #begun = 0

  constructor(terminal: Terminal, total: number) {
    this.#terminal = terminal
    this.#total = total
  }

  begin(name: string): void {
    this.#begun++
    this.#write(`measuring ${name} (${this.#begun} of ${this.#total}, ${this.#passed()} so far)`)
  }

  end(): void {
    this.#write(`measured ${this.#begun} of ${this.#total} in ${this.#passed()}\n`)
  }

  #write(text: string): void {
    if (this.#terminal.isTTY) this.#terminal.write(`${ERASE_LINE}${text}`)
  }

  #passed(): string {
    return formatDuration(performance.now() - this.#beganMs)
  }
}

export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
