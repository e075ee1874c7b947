import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { placeOf, type StopKey } from './walkthrough.ts'

/** What a step waits for comes in this time, or never. A command that installs packages may take longer. */
const WAIT_MS_MAX = 120_000

interface TerminalsInit {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** How long a command may take, in milliseconds. */
  readonly runMsMax?: number
}

/** A folder in which somebody follows a page, with a shell and terminals. */
export class Terminals implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv
  readonly #runMsMax: number
  readonly #terminals = new Map<string, Terminal>()
  /** Where the shell is. A `cd` moves it. */
  cwd: string

  constructor({ cwd, env, runMsMax = WAIT_MS_MAX }: TerminalsInit) {
    this.cwd = cwd
    this.#env = env
    this.#runMsMax = runMsMax
  }

  /** Run commands to their end. Rejects when one ends with another code than 0, or prints something else. */
  async run(commands: string, expected: readonly string[]): Promise<void> {
    // The shell says on a channel of its own where it ended up. It has a process group, so that all of it can be killed.
    const shell = spawn('sh', ['-ec', `${commands}\npwd >&3`], {
      cwd: this.cwd,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    })
    const timer = setTimeout(() => process.kill(-shell.pid!, 'SIGKILL'), this.#runMsMax)
    const [[code], stdout, stderr, cwd] = await Promise.all([
      once(shell, 'close'),
      text(shell.stdout!),
      text(shell.stderr!),
      text(shell.stdio[3] as NodeJS.ReadableStream),
    ])
    clearTimeout(timer)
    const printed = `${commands}It printed:\n${stdout}${stderr}`
    if (code !== 0) throw new Error(`this ended with code ${code}:\n${printed}`)
    if (placeOf(expected, stdout.split('\n')) === undefined)
      throw new Error(`this did not print what the page shows:\n${printed}`)
    this.cwd = cwd.trim()
  }

  /** Start a command in a terminal that is free, or whose program is ended so. */
  async start(name: string, command: string, stop: StopKey): Promise<void> {
    await this.end(name)
    this.#terminals.set(name, new Terminal(command, { cwd: this.cwd, env: this.#env }, stop))
  }

  /** Resolves when the terminal shows these lines, after those that it showed before. */
  async shows(name: string, lines: readonly string[]): Promise<void> {
    await this.#terminals.get(name)!.shows(lines)
  }

  type(name: string, lines: string): void {
    this.#terminals.get(name)!.type(lines)
  }

  async end(name: string): Promise<void> {
    await this.#terminals.get(name)?.end()
    this.#terminals.delete(name)
  }

  async endAll(): Promise<void> {
    for (const name of [...this.#terminals.keys()].sort()) await this.end(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#terminals.values(), (terminal) => terminal.kill()))
  }
}

class Terminal {
  readonly #command: string
  readonly #stop: StopKey
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown[]>
  readonly #printed: string[] = []
  #seen = 0

  constructor(command: string, options: { cwd: string; env: NodeJS.ProcessEnv }, stop: StopKey) {
    this.#command = command
    this.#stop = stop
    // A group of its own, so that what npm starts is killed with it.
    this.#child = spawn('sh', ['-c', `exec ${command}`], { ...options, detached: true })
    this.#exit = once(this.#child, 'close')
    for (const output of [this.#child.stdout!, this.#child.stderr!])
      createInterface({ input: output }).on('line', (line) => {
        this.#printed.push(line)
        this.#child.emit('printed')
      })
  }

  async shows(lines: readonly string[]): Promise<void> {
    const signal = AbortSignal.timeout(WAIT_MS_MAX)
    for (;;) {
      const place = placeOf(lines, this.#printed.slice(this.#seen))
      if (place !== undefined) {
        this.#seen += place
        return
      }
      if (this.#child.exitCode !== null) throw this.#failed(`ended with code ${this.#child.exitCode}`)
      // Who loses the race stops listening: a program that prints much would have more and more listeners.
      const over = new AbortController()
      const until = { signal: AbortSignal.any([signal, over.signal]) }
      const news = [once(this.#child, 'printed', until), once(this.#child, 'close', until)]
      try {
        await Promise.race(news)
      } catch {
        throw this.#failed(`did not show: ${lines.join('\n')}`)
      } finally {
        over.abort()
        await Promise.allSettled(news)
      }
    }
  }

  type(lines: string): void {
    this.#child.stdin!.write(lines)
  }

  async end(): Promise<void> {
    if (this.#stop === 'Ctrl-D') this.#child.stdin!.end()
    else this.#child.kill(this.#stop === 'Ctrl-C' ? 'SIGINT' : 'SIGQUIT')
    const timer = setTimeout(() => this.#killAll(), WAIT_MS_MAX)
    const [code, signal] = await this.#exit
    clearTimeout(timer)
    const isKilled = this.#stop === 'Ctrl-\\' && signal === 'SIGQUIT'
    if (code !== 0 && !isKilled) throw this.#failed(`ended with code ${code} after ${this.#stop}`)
  }

  async kill(): Promise<void> {
    this.#killAll()
    await this.#exit
  }

  #killAll(): void {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL')
    } catch (error) {
      // All of them have ended.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  #failed(how: string): Error {
    return new Error(`${this.#command} ${how}\nIt printed:\n${this.#printed.join('\n')}`)
  }
}
