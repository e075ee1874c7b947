import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** The program; as an argument, a file that holds something else than is asked for. */
export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that was to end by itself and has not within so long never will: something in it was left open. */
const END_MS_MAX = 120_000

interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: NodeJS.ProcessEnv
  readonly execArgv?: readonly string[]
  /** Another release's program. */
  readonly main?: string
}

/** A folder of its own for a test, with the commands run in it. */
export class Place implements AsyncDisposable {
  readonly dir: string
  readonly #running = new Set<ChildProcess>()

  static async make(): Promise<Place> {
    return new Place(await mkdtemp(join(tmpdir(), 'anchorage-cli-')))
  }

  private constructor(dir: string) {
    this.dir = dir
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  /** Run `anchorage` to its end. Rejects when it does not end by itself. */
  /** The names in a directory here that end so, in order. */
  async list(name: string, end: string): Promise<string[]> {
    return (await readdir(this.path(name))).filter((each) => each.endsWith(end)).sort()
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const child = this.spawn(args, options)
    child.stdin!.end(options.input)
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      endOf(child, once(child, 'close') as Promise<[number | null]>),
    ])
    return { code, stdout, stderr }
  }

  /** Run `anchorage` with `--json`, and read the objects it prints as they come. */
  start(args: readonly string[], options: RunOptions = {}): Running {
    return new Running(this.spawn([...args, '--json'], options))
  }

  /** In a process group of its own, as a terminal would. */
  spawn(args: readonly string[], { env = {}, execArgv = [], main = MAIN }: RunOptions = {}): ChildProcess {
    const { NO_COLOR: _, FORCE_COLOR: __, ...others } = process.env
    const inherited = Object.fromEntries(
      Object.entries(others).filter(([name]) => !/^ANCHORAGE_(?!TEST_)/.test(name)),
    )
    const child = spawn(process.execPath, [...execArgv, main, ...args], {
      cwd: this.dir,
      env: { ...inherited, TMPDIR: this.dir, ...env },
      detached: true,
    })
    this.#running.add(child)
    child.once('close', () => this.#running.delete(child))
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      Array.from(this.#running, (child) => {
        child.kill('SIGKILL')
        return once(child, 'close')
      }),
    )
    await rm(this.dir, { recursive: true, force: true })
  }
}

export interface Printed {
  readonly event: string
  readonly detail: { readonly [field: string]: unknown }
}

/** A command that goes on, and what it has printed. */
export class Running {
  readonly child: ChildProcess
  readonly printed: Printed[] = []
  readonly #exit: Promise<[number | null]>

  constructor(child: ChildProcess) {
    this.child = child
    this.#exit = once(child, 'close') as Promise<[number | null]>
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.printed.push(JSON.parse(line))
      child.emit('printed')
    })
  }

  async until(what: (printed: Printed) => boolean): Promise<Printed> {
    for (;;) {
      const found = this.printed.find(what)
      if (found !== undefined) return found
      const ended = this.#exit.then(([code]) => {
        throw new Error(`it ended with code ${code} after ${JSON.stringify(this.printed)}`)
      })
      await Promise.race([once(this.child, 'printed'), ended])
    }
  }

  /** Resolves when it has ended; null when a signal ended it. Rejects when it does not end by itself. */
  get exitCode(): Promise<number | null> {
    return endOf(this.child, this.#exit)
  }

  /** Resolves with the exit code. Rejects when the command does not end by itself. */
  async interrupt(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.child.kill(signal)
    return await endOf(this.child, this.#exit)
  }
}

/** The exit code of a command that is to end by itself. */
async function endOf(child: ChildProcess, exit: Promise<[number | null]>): Promise<number | null> {
  let lingers = false
  const timer = setTimeout(() => {
    lingers = true
    child.kill('SIGKILL')
  }, END_MS_MAX)
  const [code] = await exit
  clearTimeout(timer)
  if (lingers) throw new Error(`it did not end within ${END_MS_MAX} ms: ${child.spawnargs.join(' ')}`)
  return code
}
