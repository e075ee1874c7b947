import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Line } from './lines.ts'

/** How long a process may take to end, in milliseconds, before it is killed. */
const END_MS_MAX = 10_000

export interface Command {
  readonly program: string
  readonly args: readonly string[]
}

/** A Node program of the figures. All of them run with the same flags. */
export function nodeProgram(name: string, ...args: (string | number)[]): Command {
  const path = join(import.meta.dirname, 'programs', `${name}.ts`)
  return {
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', path, ...args.map(String)],
  }
}

/** A process that takes part. It ends when it is disposed of, or when its parent ends, for its input ends then. */
export class Party implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #said: { readonly line: Line; readonly atMs: number }[] = []
  readonly #startedMs = performance.now()
  #heard = Promise.withResolvers<void>()
  #failure: Error | undefined

  constructor({ program, args }: Command) {
    // For all Node programs alike: code that was compiled once is kept, as the command line of ours does.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') }
    this.#process = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#process.stdin!.on('error', () => {})
    createInterface(this.#process.stdout!).on('line', (text) => {
      if (!text.startsWith('{"')) return
      this.#said.push({ line: JSON.parse(text), atMs: performance.now() - this.#startedMs })
      this.#wake()
    })
    const fail = (why: string) => {
      this.#failure = new Error(`${program} ${args.slice(0, 3).join(' ')} ${why}`)
      this.#wake()
    }
    this.#process.once('error', (error) => fail(error.message))
    this.#process.once('exit', (code, signal) => fail(`ended: ${signal ?? `code ${code}`}`))
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** The first line of a kind, and when it came, in milliseconds from the start of the process. */
  async heard(event: Line['event'], waitMsMax: number): Promise<{ line: Line; atMs: number }> {
    const late = setTimeout(() => {
      this.#failure ??= new Error(`${event} did not come within ${waitMsMax} ms`)
      this.#wake()
    }, waitMsMax)
    try {
      while (true) {
        const said = this.#said.find(({ line }) => line.event === event)
        if (said !== undefined) return said
        if (this.#failure !== undefined) throw this.#failure
        await this.#heard.promise
      }
    } finally {
      clearTimeout(late)
    }
  }

  /** The digest of all items. It is asked for once. */
  async digest(waitMsMax: number): Promise<Line> {
    this.#process.stdin!.write('digest\n')
    return (await this.heard('digest', waitMsMax)).line
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode, pid } = this.#process
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    const exited = once(this.#process, 'exit')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS_MAX)
    this.#process.stdin!.end()
    await exited
    clearTimeout(timer)
  }

  #wake(): void {
    this.#heard.resolve()
    this.#heard = Promise.withResolvers()
  }
}
