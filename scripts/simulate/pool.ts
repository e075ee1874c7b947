import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** One seed to run. */
export interface Task {
  readonly seed: number
  readonly workload: string
  /**
   * What is done to the group: trouble as the seed draws it, or replicas that join and leave, and nothing
   * else.
   */
  readonly plan: 'trouble' | 'joins'
  readonly shrinkRuns: number
  /** What repeats it, as it is told when it fails. */
  readonly command: string
}

/** What came of a seed. */
export interface Done {
  readonly seed: number
  readonly workload: string
  readonly tookMs: number
  /** Undefined when it failed. */
  readonly hash?: string
  readonly virtualMs: number
  readonly entries: number
  readonly joinsMs: readonly number[]
  readonly failure?: { readonly promise: string; readonly message: string }
}

/** Most of what a run makes is garbage soon: a young generation of 64 MiB takes a third off a seed's time. */
const YOUNG = '--max-semi-space-size=64'

/**
 * A seed that takes longer hangs: the slowest took 10 s on a busy machine, and shrinking takes a hundred
 * runs.
 */
const SEED_MS_MAX = 1_200_000

/**
 * A worker makes room for a new one after this many seeds. Node keeps each signal of `AbortSignal.any` that has
 * listeners, and the lives that are killed never remove theirs: 0.7 MB a seed, so that 4 GB were full after 3,900.
 */
const SEEDS_PER_WORKER = 1_000

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

/**
 * Runs seeds in several processes, each with one at a time. Processes and not threads: a planted bug, and an
 * endless loop, stay in their process.
 */
export class Pool implements Disposable {
  readonly #options: ForkOptions
  readonly #children: ChildProcess[]

  /** @param options of Node for the workers */
  constructor(processes: number, { execArgv = [], env = process.env }: ForkOptions = {}) {
    this.#options = { execArgv: [YOUNG, ...execArgv], env }
    this.#children = Array.from({ length: processes }, () => this.#fork())
  }

  /** Run tasks until `next` gives none. Rejects if a worker ends. */
  async run(next: () => Task | undefined, done: (result: Done) => void): Promise<void> {
    await Promise.all(
      this.#children.map(async (_, place) => {
        for (let task = next(); task !== undefined; task = await this.#runSome(place, task, next, done));
      }),
    )
  }

  /** Run as many tasks as one worker may, `first` before the others. Returns the one that it was too many for. */
  async #runSome(
    place: number,
    first: Task,
    next: () => Task | undefined,
    done: (result: Done) => void,
  ): Promise<Task | undefined> {
    const child = this.#children[place]!
    const exit = new AbortController()
    const ended = once(child, 'exit', { signal: exit.signal }).then(() => {
      throw new Error(`a worker ended with ${child.exitCode ?? child.signalCode}`)
    })
    ended.catch(() => {})
    let task: Task | undefined = first
    for (let run = 0; task !== undefined && run < SEEDS_PER_WORKER; run++) {
      done(await resultOf(child, task, ended))
      task = next()
    }
    exit.abort()
    if (task === undefined) return undefined
    this.#children[place] = this.#fork()
    child.disconnect()
    return task
  }

  #fork(): ChildProcess {
    return fork(WORKER, this.#options)
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill()
  }
}

/** Have a worker run a seed. Rejects, and names the seed, when the worker ends, by itself or since it hangs. */
async function resultOf(child: ChildProcess, task: Task, ended: Promise<never>): Promise<Done> {
  // SIGKILL: a loop of promises hears nothing else.
  const late = setTimeout(() => child.kill('SIGKILL'), SEED_MS_MAX)
  child.send(task)
  try {
    const [result] = (await Promise.race([once(child, 'message'), ended])) as [Done]
    return result
  } catch (cause) {
    throw new Error(`seed ${task.seed} of ${task.workload}: ${(cause as Error).message}`, { cause })
  } finally {
    clearTimeout(late)
  }
}
