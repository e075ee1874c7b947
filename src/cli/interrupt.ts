import { constants } from 'node:os'
import { OutputBroken } from './errors.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof SIGNALS)[number]

/**
 * A signal this soon after the first, in milliseconds, is the same request. `timeout` and npm send one to the
 * process and one to its group, milliseconds apart. A person needs about a second to see that nothing has
 * happened yet.
 */
const SAME_REQUEST_MS = 1_000
/** The reader of a pipe left, or the terminal is gone. */
const GONE = ['EPIPE', 'EIO']

/**
 * Why a command ends early: Ctrl-C, SIGTERM, a closed terminal, or output that nobody reads any more. The
 * first of these aborts `signal`. A signal more than a second later ends the process. It listens until the
 * process ends, because a second signal must not kill a command that is already ending.
 */
export class Interrupt {
  readonly #abort = new AbortController()
  #received: Signal | undefined
  #receivedMs = Number.NEGATIVE_INFINITY
  #broken: OutputBroken | undefined

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#receive)
    process.stdout.on('error', this.#outputBroke)
    // Where errors cannot be told either, the exit code remains.
    process.stderr.on('error', () => {})
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** The exit code that tells which signal it was; undefined if there was none. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : exitCodeOf(this.#received)
  }

  /** Resolves when all output is written, with why it could not be. */
  async outputBroken(): Promise<OutputBroken | undefined> {
    await new Promise<void>((resolve) => process.stdout.write('', () => setImmediate(resolve)))
    return this.#broken
  }

  /**
   * The command has ended. Nothing of the process is left but Node, which lets go of signals milliseconds before it
   * ends: one that comes then would kill it, and it would not have ended well. So Node ends at once, as far as nothing
   * is left running.
   */
  ended(): void {
    if (this.#received !== undefined) process.once('exit', (code) => process.exit(code))
  }

  readonly #receive = (name: Signal): void => {
    const nowMs = performance.now()
    if (this.#received === undefined) {
      this.#received = name
      this.#receivedMs = nowMs
      this.#abort.abort(new Error(`interrupted by ${name}`))
    } else if (nowMs - this.#receivedMs >= SAME_REQUEST_MS) process.exit(exitCodeOf(name))
  }

  readonly #outputBroke = (error: NodeJS.ErrnoException): void => {
    if (this.#broken !== undefined) return
    const isGone = GONE.includes(error.code ?? '')
    this.#broken = new OutputBroken(error, isGone ? exitCodeOf('SIGPIPE') : undefined)
    this.#abort.abort(this.#broken)
  }
}

function exitCodeOf(name: Signal | 'SIGPIPE'): number {
  return 128 + constants.signals[name]
}
