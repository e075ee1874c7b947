import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const EXAMPLES = new URL('../../docs/examples/', import.meta.url)
const BY_NAME = new URL('../setup/package-by-name.ts', import.meta.url).href

/** One process of a project of the examples, in a folder of the test. It ends with the test. */
export class ExampleProcess implements AsyncDisposable {
  /** All that it has printed. */
  readonly lines: string[] = []
  readonly #child
  readonly #closed

  /** @param program such as `job-queue/worker.ts` */
  constructor(program: string, args: readonly string[], cwd: string) {
    const path = fileURLToPath(new URL(program, EXAMPLES))
    this.#child = spawn(process.execPath, ['--import', BY_NAME, path, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#closed = once(this.#child, 'close')
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.lines.push(line)
      this.#child.emit('printed')
    })
  }

  /** Resolves when it has printed a line. Rejects when it ends without. */
  async prints(line: string): Promise<void> {
    while (!this.lines.includes(line)) {
      const ended = this.#closed.then(([code]) => {
        throw new Error(
          `it ended with code ${code}, and has not printed "${line}":\n${this.lines.join('\n')}`,
        )
      })
      await Promise.race([once(this.#child, 'printed'), ended])
    }
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#closed
  }

  /** Stop it where it is, as on a machine that is too busy. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }
}
