import { type ChildProcess, fork } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnv } from '../node-flags.ts'
import type { ProcessEvent, ProcessEventType } from '../observe/events.ts'
import type { Position } from '../position.ts'
import { deserializeError } from '../serialized-error.ts'
import { atExit } from './at-exit.ts'
import { ERROR_CLASSES } from './error-classes.ts'
import { ConditionTimeout, type Exit, ProcessEnded, ProcessLingered, type ProcessTrace } from './errors.ts'
import { guard } from './guard.ts'
import type { Command, ProgramOptions, Report } from './messages.ts'
import { OutputLines } from './output-lines.ts'
import type { ReplicaStatus } from './program.ts'

export interface ProcessInit {
  readonly program: URL
  readonly options: ProgramOptions
  readonly execArgv: readonly string[]
  readonly runUnder: readonly string[]
  /** Called after each event, and when the process has ended. */
  readonly onChange: () => void
}

/** How long to wait. */
export interface WaitOptions {
  /** In milliseconds. Default 30,000. */
  readonly timeoutMs?: number
}

/** How long to wait for an event, and from where on. */
export interface WaitForOptions extends WaitOptions {
  /** Pass over this many events from the beginning: `process.events.length` for those to come. Default 0. */
  readonly since?: number
}

export const WAIT_MS_DEFAULT = 30_000
const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS_DEFAULT = 10_000
const TRACE_LINES = 20

/** A replica in a process of its own. Started by a cluster. */
export class ReplicaProcess {
  /** What its replica was started with. */
  readonly options: ProgramOptions
  /** The id of the process; 0 if it could not be started. */
  readonly pid: number
  readonly #child: ChildProcess
  readonly #onChange: () => void
  readonly #started = Promise.withResolvers<string>()
  readonly #exited = Promise.withResolvers<Exit>()
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #events: ProcessEvent[] = []
  readonly #waiting = new Set<() => void>()
  readonly #output = new OutputLines()
  #id = ''
  #callCount = 0
  #exit: Exit | undefined
  #failure: Error | undefined
  #endWanted = false
  /** Defined while the process is paused: a paused process cannot notice that its parent has ended. */
  #guard: ChildProcess | undefined
  #replicaStopped = false
  #stopped: Promise<Exit> | undefined

  /** @internal Started by a cluster. */
  constructor({ program, options, execArgv, runUnder, onChange }: ProcessInit) {
    this.options = options
    this.#onChange = onChange
    const [execPath, ...before] = [...runUnder, process.execPath]
    const child = fork(program, {
      execPath,
      execArgv: [...before, ...execArgv],
      // A process starts in half the time when Node keeps what it compiled from one to the next.
      env: { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...childEnv() },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#child = child
    this.pid = child.pid ?? 0
    const calledOff = atExit(() => child.kill('SIGKILL'))
    this.#started.promise.catch(() => {})
    this.#output.keep(child.stdout)
    this.#output.keep(child.stderr)
    child.on('message', (report: Report) => this.#reported(report))
    child.on('error', (error) => {
      this.#failure ??= error
    })
    child.once('close', (code, signal) => {
      calledOff()
      this.#ended({ code, signal })
    })
    this.#send({ type: 'start', options })
  }

  /**
   * @internal Resolves when `createReplica` has resolved in the process. The replica may not be in sync yet.
   * Rejects with what `createReplica` threw. The process has ended then.
   */
  async started(): Promise<this> {
    try {
      this.#id = await this.#within('it has started', START_TIMEOUT_MS, this.#started.promise)
      return this
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  /** The name that the cluster gave it, or `start` was told. */
  get name(): string {
    return this.options.name
  }

  /** The replica's PeerId, as text. */
  get id(): string {
    return this.#id
  }

  /** False once the process has ended. */
  get running(): boolean {
    return this.#exit === undefined
  }

  /** True from `pause()` to `resume()`. */
  get paused(): boolean {
    return this.#guard !== undefined
  }

  /** Resolves when the process has ended, however that came about. */
  get exited(): Promise<Exit> {
    return this.#exited.promise
  }

  /** True when the process ended although neither `stop()` nor `kill()` was called. */
  get crashed(): boolean {
    return !this.running && !this.#endWanted
  }

  /** Every event of the replica so far, oldest first. */
  get events(): readonly ProcessEvent[] {
    return this.#events
  }

  /** The newest 1,000 lines the process wrote to its standard output and error. */
  get logs(): readonly string[] {
    return this.#output.lines
  }

  /** The newest event of this type so far; undefined if there was none. */
  lastEvent<Type extends ProcessEventType>(type: Type): ProcessEvent<Type> | undefined {
    return this.#events.findLast((event) => event.type === type) as ProcessEvent<Type> | undefined
  }

  /**
   * Resolves with the first event, past or to come, that `predicate` accepts. Rejects with
   * `ConditionTimeout`.
   */
  waitFor<Event extends ProcessEvent>(
    predicate: (event: ProcessEvent) => event is Event,
    options?: WaitForOptions,
  ): Promise<Event>
  waitFor(predicate: (event: ProcessEvent) => boolean, options?: WaitForOptions): Promise<ProcessEvent>
  async waitFor(
    predicate: (event: ProcessEvent) => boolean,
    { timeoutMs = WAIT_MS_DEFAULT, since = 0 }: WaitForOptions = {},
  ): Promise<ProcessEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<ProcessEvent>()
    let next = since
    const look = () => {
      for (; next < this.#events.length; next++) {
        const event = this.#events[next]!
        if (predicate(event)) return resolve(event)
      }
      if (this.#exit !== undefined) reject(new ProcessEnded(this.#exit, this.trace()))
    }
    this.#waiting.add(look)
    try {
      look()
      return await this.#within('an event came that was waited for', timeoutMs, promise)
    } finally {
      this.#waiting.delete(look)
    }
  }

  /**
   * Call a method of the process's program. Errors come back with their class, message and fields. Waits as
   * long as the answer takes. Rejects with `ProcessEnded` if the process ends first.
   */
  async call<T>(method: string, ...args: unknown[]): Promise<T> {
    if (this.#exit !== undefined) throw new ProcessEnded(this.#exit, this.trace())
    const call = ++this.#callCount
    const answer = Promise.withResolvers<unknown>()
    this.#calls.set(call, answer)
    try {
      this.#send({ type: 'call', call, method, args })
      return (await answer.promise) as T
    } finally {
      this.#calls.delete(call)
    }
  }

  /** See `Replica.inSync`. */
  async inSync(): Promise<void> {
    await this.call('replica.inSync')
  }

  /** See `Replica.barrier`. */
  async barrier(): Promise<void> {
    await this.call('replica.barrier')
  }

  /** What the replica says of itself now. Rejects like `call`. */
  status(): Promise<ReplicaStatus> {
    return this.call('replica.status')
  }

  /** See `Replica.mark`. */
  mark(): Promise<Position> {
    return this.call('replica.mark')
  }

  /** See `Replica.checkpointed`. */
  async checkpointed(position: Position): Promise<void> {
    await this.call('replica.checkpointed', position)
  }

  /** See `Replica.rootAt`; in hexadecimal. */
  rootAt(anchor: Position): Promise<string> {
    return this.call('replica.rootAt', anchor)
  }

  /** See `Replica.upgrade`. */
  upgrade(options: { readonly to?: string } = {}): Promise<Position> {
    return this.call('replica.upgrade', options)
  }

  /** See `Replica.prune`. */
  prune(options: { readonly keepEntries?: number } = {}): Promise<number> {
    return this.call('replica.prune', options)
  }

  /**
   * Stop the process where it is (SIGSTOP). It answers nothing until `resume()`. If it was writing to the
   * log, it keeps the log's lock meanwhile.
   */
  pause(): void {
    if (!this.running || this.#guard !== undefined) return
    this.#guard = guard(this.pid)
    this.#child.kill('SIGSTOP')
  }

  /** Let a paused process go on (SIGCONT). */
  resume(): void {
    this.#dismissGuard()
    this.#child.kill('SIGCONT')
  }

  /** End the process at once (SIGKILL). Resolves when it has ended. */
  async kill(): Promise<Exit> {
    // One that has crashed stays so.
    if (this.running) this.#endWanted = true
    this.#child.kill('SIGKILL')
    return await this.#exited.promise
  }

  /**
   * Stop the replica. The process must then exit by itself, which proves that nothing was left running in it.
   * A paused process is resumed first. Rejects with `ProcessLingered` if it did not exit in time and was
   * killed, with `ProcessEnded` if it did not end well, and with what `Replica.stop` threw.
   */
  stop(options: { readonly timeoutMs?: number } = {}): Promise<Exit> {
    this.#stopped ??= this.#stop(options.timeoutMs ?? STOP_TIMEOUT_MS_DEFAULT)
    return this.#stopped
  }

  /** @internal */
  trace(): ProcessTrace {
    const { state } = this.lastEvent('state')?.detail ?? { state: 'starting' }
    const exit = this.#exit && `ended with ${this.#exit.signal ?? `code ${this.#exit.code}`}`
    return {
      name: this.name,
      state: exit ?? (this.paused ? `paused, ${state}` : state),
      lines: this.#output.lines.slice(-TRACE_LINES),
    }
  }

  async #stop(timeoutMs: number): Promise<Exit> {
    if (this.#exit !== undefined) {
      if (this.crashed) throw new ProcessEnded(this.#exit, this.trace())
      return this.#exit
    }
    this.#endWanted = true
    if (this.paused) this.resume()
    this.#send({ type: 'stop' })
    let lingered = false
    const timer = setTimeout(() => {
      lingered = true
      this.#child.kill('SIGKILL')
    }, timeoutMs)
    const exit = await this.#exited.promise
    clearTimeout(timer)
    if (this.#failure !== undefined) throw this.#failure
    if (lingered) throw new ProcessLingered(timeoutMs, this.#replicaStopped, this.trace())
    if (exit.code !== 0) throw new ProcessEnded(exit, this.trace())
    return exit
  }

  #reported(report: Report): void {
    switch (report.type) {
      case 'started':
        return this.#started.resolve(report.id)
      case 'stopped':
        this.#replicaStopped = true
        return
      case 'failed':
        this.#failure = deserializeError(report.error, ERROR_CLASSES)
        return this.#started.reject(this.#failure)
      case 'event':
        this.#events.push(report.event)
        return this.#changed()
      case 'returned':
        return this.#calls.get(report.call)?.resolve(report.value)
      case 'threw':
        return this.#calls.get(report.call)?.reject(deserializeError(report.error, ERROR_CLASSES))
      default:
        return report satisfies never
    }
  }

  #ended(exit: Exit): void {
    this.#exit = exit
    this.#dismissGuard()
    const error = this.#failure ?? new ProcessEnded(exit, this.trace())
    this.#started.reject(error)
    for (const call of this.#calls.values()) call.reject(error)
    this.#exited.resolve(exit)
    this.#changed()
  }

  #changed(): void {
    for (const look of this.#waiting) look()
    this.#onChange()
  }

  #send(command: Command): void {
    // A process that is gone is told by its end, not by a message that cannot be delivered.
    if (this.#child.connected) this.#child.send(command, () => {})
  }

  #dismissGuard(): void {
    this.#guard?.kill('SIGKILL')
    this.#guard = undefined
  }

  async #within<T>(what: string, timeoutMs: number, promise: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new ConditionTimeout(what, timeoutMs, [this.trace()])),
      timeoutMs,
    )
    try {
      return await Promise.race([promise, late.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}
