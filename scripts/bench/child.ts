import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tuneGarbageCollection } from '../../src/replica/index.ts'

/** The calls that a child answers. Arguments and results travel by structured clone. */
export type Methods = Readonly<Record<string, (...args: never[]) => unknown>>

interface Call {
  readonly call: number
  readonly method: string
  readonly args: unknown[]
}

type Answer =
  | { readonly call: number; readonly value: unknown }
  | { readonly call: number; readonly error: string }

/** The longest that a call may take, in milliseconds, even on a busy machine. */
const CALL_MS_MAX = 180_000
/** How long a child may take to end, in milliseconds, before it is killed. */
const END_MS_MAX = 10_000

/**
 * A process of a benchmark, whose program calls `serveCalls`. It ends when it is disposed of, or when its
 * parent ends.
 */
export class Child<M extends Methods> implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  #count = 0

  /** @param flags of Node, beside those of this process */
  constructor(program: URL, flags: readonly string[] = []) {
    // A process starts in half the time if Node keeps compiled code from one process to the next.
    const env = { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...process.env }
    this.#process = fork(program, {
      env,
      execArgv: [...process.execArgv, ...flags],
      serialization: 'advanced',
    })
    this.#process.on('message', (answer: Answer) => {
      const call = this.#calls.get(answer.call)
      if ('error' in answer) call?.reject(new Error(answer.error))
      else call?.resolve(answer.value)
    })
    this.#process.once('exit', (code, signal) => {
      const error = new Error(`${program.pathname} ended: ${signal ?? `code ${code}`}`)
      for (const call of this.#calls.values()) call.reject(error)
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  async call<K extends keyof M & string>(
    method: K,
    ...args: Parameters<M[K]>
  ): Promise<Awaited<ReturnType<M[K]>>> {
    if (!this.#process.connected) throw new Error('the process has ended')
    const call = ++this.#count
    const answer = Promise.withResolvers<unknown>()
    this.#calls.set(call, answer)
    const late = () => answer.reject(new Error(`${method} took longer than ${CALL_MS_MAX} ms`))
    const timer = setTimeout(late, CALL_MS_MAX)
    try {
      this.#process.send({ call, method, args } satisfies Call)
      return (await answer.promise) as Awaited<ReturnType<M[K]>>
    } finally {
      clearTimeout(timer)
      this.#calls.delete(call)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS_MAX)
    if (this.#process.connected) this.#process.disconnect()
    await exited
    clearTimeout(timer)
  }
}

/** Answer the parent's calls. When the parent has gone, call `end`, and end the process. */
export function serveCalls(methods: Methods, end: () => unknown): void {
  // This holds for replicas and for their baselines alike.
  tuneGarbageCollection()
  process.on('message', async ({ call, method, args }: Call) => {
    const answer = await Promise.try(() => methods[method]!(...(args as never[]))).then(
      (value): Answer => ({ call, value }),
      (error): Answer => ({
        call,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    )
    if (process.connected) process.send!(answer, () => {})
  })
  process.on('disconnect', async () => {
    setTimeout(() => process.exit(1), END_MS_MAX).unref()
    await end()
    process.exit()
  })
}
