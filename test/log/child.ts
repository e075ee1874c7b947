import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A script of this folder, run as a process of its own; killed at the end of the scope that it was started in. */
export class Child implements Disposable {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exit: Promise<unknown[]>

  constructor(script: string, ...parameters: string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.#process = spawn(process.execPath, [path, ...parameters], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]()
    this.#exit = once(this.#process, 'exit')
  }

  /** The next line it says; undefined when it says no more. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next()
    return done ? undefined : value
  }

  /** Waits until it is ready. */
  async ready(): Promise<void> {
    const line = await this.line()
    if (line !== 'ready') throw new Error(`the process said ${line} instead of ready`)
  }

  /** Ends its waiting. */
  go(): void {
    this.#process.stdin!.write('go\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** The code it exits with, by itself. */
  async exitCode(): Promise<unknown> {
    const [code] = await this.#exit
    return code
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL')
  }
}
