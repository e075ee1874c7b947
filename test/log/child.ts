import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A script of this folder in its own process, which is killed at the end of the scope that started it. */
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

  /** The next line that it prints; undefined when it prints no more. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next()
    return done ? undefined : value
  }

  /** Wait until it is ready. */
  async ready(): Promise<void> {
    const line = await this.line()
    if (line !== 'ready') throw new Error(`the process said ${line} instead of ready`)
  }

  /** End its wait. */
  go(): void {
    this.#process.stdin!.write('go\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Its exit code, when it exits by itself. */
  async exitCode(): Promise<unknown> {
    const [code] = await this.#exit
    return code
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL')
  }
}
