import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { guard } from './guard.ts'

/** How long children that were killed may take to end: 10 s. */
const WAITS_MAX = 2_000
const POLL_INTERVAL_MS = 5

/** The user that a process runs as. */
export interface RunAs {
  readonly uid?: number
  readonly gid?: number
}

export interface ServerCommand extends RunAs {
  readonly program: string
  readonly args: readonly string[]
  readonly cwd?: string
  /** Default: this process's. */
  readonly env?: NodeJS.ProcessEnv
  /** A file to which it writes its output. Default: none. */
  readonly output?: string
}

/** A server, which runs as a process with children or without. None of them outlives this process. */
export class ServerProcess {
  readonly #command: ServerCommand
  #child: ChildProcess | undefined
  /** Defined while the server runs. */
  #guard: ChildProcess | undefined
  /** While the server is paused, its processes. */
  #paused: readonly number[] = []

  constructor(command: ServerCommand) {
    this.#command = command
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when it runs, which is before it serves. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return
    const { program, args, output, ...options } = this.#command
    const file = output === undefined ? undefined : openSync(output, 'a')
    // Ctrl-C in a terminal reaches the whole process group, which must not include the servers: the process that
    // started them decides what it means.
    const stdio = ['ignore', file ?? 'ignore', file ?? 'ignore'] as const
    const child = spawn(program, args, { ...options, stdio: [...stdio], detached: true })
    if (file !== undefined) closeSync(file)
    this.#child = child
    child.once('exit', () => {
      this.#release()
      this.#paused = []
      this.#child = undefined
    })
    await once(child, 'spawn')
    this.#guard = guard(child.pid!)
  }

  /** End it. Resolves when the server has ended, with SIGKILL all of its children too. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'exit')
    const killed = signal === 'SIGKILL' ? this.killNow() : []
    if (signal !== 'SIGKILL') child.kill(signal)
    await ended
    // A server that is started again wants its files and its memory for itself.
    for (let waits = 0; killed.some(isRunning) && waits < WAITS_MAX; waits++) await delay(POLL_INTERVAL_MS)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** End it and its children with SIGKILL, without waiting. Returns their ids. */
  killNow(): readonly number[] {
    const pids = this.#processes()
    for (const pid of pids) send(pid, 'SIGKILL')
    return pids
  }

  /** Stop it and its children where they are (SIGSTOP), as on a machine that is too busy. */
  pause(): void {
    if (this.#child === undefined || this.#paused.length > 0) return
    this.#paused = this.#processes()
    for (const pid of this.#paused) send(pid, 'SIGSTOP')
    this.#release()
    // Children that stand still do not notice that the server has ended.
    this.#guard = guard(...this.#paused)
  }

  resume(): void {
    if (this.#paused.length === 0) return
    for (const pid of this.#paused.toReversed()) send(pid, 'SIGCONT')
    this.#paused = []
    this.#release()
    this.#guard = guard(this.#child!.pid!)
  }

  /** The server, which stands still then, and its children. */
  #processes(): number[] {
    const pid = this.#child?.pid
    if (pid === undefined) return []
    // It starts no more children then.
    send(pid, 'SIGSTOP')
    return [pid, ...childrenOf(pid)]
  }

  #release(): void {
    this.#guard?.kill('SIGKILL')
    this.#guard = undefined
  }
}

/** The children of a process. Linux tells them; on other systems none are found. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').flatMap((text) => (text === '' ? [] : [Number(text)]))
  } catch {
    return []
  }
}

/** Whether a process has not ended. One that has, and only waits to be collected, does not run. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}
