import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
type Signal = (typeof SIGNALS)[number] | 'SIGPIPE'

/** Ctrl-C, SIGTERM, or a reader of our output that left: the first aborts `signal`, the second ends the process. */
export class Interrupt implements Disposable {
  readonly #abort = new AbortController()
  #received: Signal | undefined

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#receive)
    process.stdout.on('error', this.#pipeBroke)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** The exit code that tells which signal it was; undefined if there was none. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : exitCodeOf(this.#received)
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#receive)
    process.stdout.off('error', this.#pipeBroke)
  }

  readonly #receive = (name: Signal): void => {
    if (this.#received !== undefined) process.exit(exitCodeOf(name))
    this.#received = name
    this.#abort.abort(new Error(`interrupted by ${name}`))
  }

  readonly #pipeBroke = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error
    if (this.#received === undefined) this.#receive('SIGPIPE')
  }
}

function exitCodeOf(name: Signal): number {
  return 128 + constants.signals[name]
}
