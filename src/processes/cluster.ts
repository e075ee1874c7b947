import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogPlace } from '../log/log-place.ts'
import { atExit } from './at-exit.ts'
import { ConditionTimeout } from './errors.ts'
import type { ReplicaOptions } from './messages.ts'
import {
  type ProcessInit,
  type ReplicaProcess,
  WAIT_MS_DEFAULT,
  type WaitOptions,
} from './replica-process.ts'

export interface ClusterInit {
  /** The group's name. */
  readonly group: string
  /** For every process, unless `start` is told otherwise. `leaseMs` is 2,000 by default. */
  readonly options?: ReplicaOptions
  /**
   * True gives each process a data directory of its own in the temporary folder. A process that has the name
   * of an earlier one uses its directory again. Default false, unless `start` is told one.
   */
  readonly dataDirs?: boolean
  /**
   * Where the log is: a SQLite file, NATS servers, or a PostgreSQL database. Default: a file in the temporary
   * folder.
   */
  readonly log?: LogPlace
  /**
   * A module whose default export is the log's backend, or a function that makes one for a group. Each process
   * loads it. Not together with `log`. Default: none.
   */
  readonly logModule?: URL
  /** The module that the processes run: one that calls `serveReplica`. */
  readonly program: URL
}

/** Options of one more process of a cluster. */
export interface StartOptions extends ReplicaOptions {
  /** Default `replica-` and a number. */
  readonly name?: string
  /** Default: the cluster's. */
  readonly program?: URL
  /** Flags for the process's Node, such as `--max-old-space-size=256` or `--cpu-prof`. Default: none. */
  readonly execArgv?: readonly string[]
  /**
   * A program, with its arguments, that runs the process's Node, such as `['ip', 'netns', 'exec', 'blue']`.
   * It must become that Node, as `exec` does, and not start a child: signals and messages go to it. Default:
   * none.
   */
  readonly runUnder?: readonly string[]
}

/**
 * The default `leaseMs` of the processes: elections are quick, and a busy machine still does not cause them.
 */
const LEASE_MS_DEFAULT = 2_000
/** How often a condition is checked while no process reports an event, in milliseconds. */
const POLL_INTERVAL_MS = 250

/**
 * Replicas as processes of this machine, on one log: a SQLite file in a temporary folder unless told
 * otherwise.
 */
export class Cluster<Process extends ReplicaProcess = ReplicaProcess> implements AsyncDisposable {
  /** The temporary folder, removed by `stop()`. */
  readonly dir: string
  /** Where the log is: `logPath`, unless the cluster was told otherwise. Not used with a `logModule`. */
  readonly log: LogPlace
  /** A SQLite file in the folder. */
  readonly logPath: string
  readonly group: string
  readonly #init: ClusterInit
  readonly #Process: new (
    init: ProcessInit,
  ) => Process
  /** By the number of the start. A process that did not start is missing. */
  readonly #replicas: (Process | undefined)[] = []
  readonly #starting = new Set<Promise<Process>>()
  readonly #removalCalledOff: () => void
  #count = 0
  #change = Promise.withResolvers<void>()
  #stopped: Promise<void> | undefined

  /** `dir` is a temporary folder, which belongs to the cluster. */
  constructor(dir: string, init: ClusterInit, Process: new (init: ProcessInit) => Process) {
    if (init.log !== undefined && init.logModule !== undefined)
      throw new RangeError('log and logModule are both given: name the log once')
    this.dir = dir
    this.logPath = join(dir, 'log.db')
    this.log = init.log ?? this.logPath
    this.group = init.group
    this.#init = init
    this.#Process = Process
    this.#removalCalledOff = atExit(() => rmSync(dir, { recursive: true, force: true }))
  }

  /** Every process in the order of the starts, those that have ended included. */
  get replicas(): readonly Process[] {
    return this.#replicas.filter((replica) => replica !== undefined)
  }

  /** Start this many processes. Resolves when all are in sync. The cluster is stopped before it rejects. */
  async startAll(count: number): Promise<this> {
    try {
      await Promise.all(Array.from({ length: count }, () => this.start()))
      await Promise.all(this.replicas.map((replica) => replica.inSync()))
      return this
    } catch (error) {
      await this.stop().catch(() => {})
      throw error
    }
  }

  /**
   * Start one more process. Resolves when its replica was created, which may be before it is in sync. Rejects
   * with what `createReplica` threw.
   */
  async start(options: StartOptions = {}): Promise<Process> {
    if (this.#stopped !== undefined) throw new Error('the cluster was stopped: start another one')
    const number = ++this.#count
    const { name = `replica-${number}`, program, execArgv = [], runUnder = [], ...own } = options
    const { logModule } = this.#init
    const starting = new this.#Process({
      program: program ?? this.#init.program,
      execArgv,
      runUnder,
      options: {
        leaseMs: LEASE_MS_DEFAULT,
        ...this.#init.options,
        ...(this.#init.dataDirs && { dataDir: join(this.dir, `data-${name}`) }),
        ...own,
        name,
        group: this.group,
        log: this.log,
        ...(logModule && { logModule: logModule.href }),
      },
      onChange: () => this.#changed(),
    }).started()
    this.#starting.add(starting)
    try {
      const started = await starting
      this.#replicas[number] = started
      return started
    } finally {
      this.#starting.delete(starting)
    }
  }

  /**
   * Resolves with the process that leads: it runs, says so itself, and no running process knows of a newer
   * term.
   */
  async leader({ timeoutMs = WAIT_MS_DEFAULT }: WaitOptions = {}): Promise<Process> {
    let leader: Process | undefined
    const look = async () => {
      const answering = this.replicas.filter((replica) => replica.running && !replica.paused)
      const statuses = await Promise.all(answering.map((replica) => replica.status().catch(() => undefined)))
      const newestTerm = Math.max(...statuses.map((status) => status?.term ?? 0))
      leader = answering.find((_, i) => {
        const { id, leader, term, state } = statuses[i] ?? {}
        return leader === id && term === newestTerm && state === 'in-sync'
      })
      return leader !== undefined
    }
    await this.waitUntil('a replica leads', look, { timeoutMs })
    return leader!
  }

  /**
   * Resolves when `condition` holds. It is checked whenever a process reports an event, and every 250 ms. If
   * it throws, the wait ends. Rejects with `ConditionTimeout`, which says `what` was waited for.
   */
  async waitUntil(
    what: string,
    condition: () => boolean | Promise<boolean>,
    { timeoutMs = WAIT_MS_DEFAULT }: WaitOptions = {},
  ): Promise<void> {
    const late = Promise.withResolvers<never>()
    late.promise.catch(() => {})
    const timer = setTimeout(() => {
      const traces = this.replicas.map((replica) => replica.trace())
      late.reject(new ConditionTimeout(what, timeoutMs, traces))
    }, timeoutMs)
    const looking = setInterval(() => this.#changed(), POLL_INTERVAL_MS)
    try {
      for (;;) {
        const changed = this.#change.promise
        if (await Promise.race([condition(), late.promise])) return
        await Promise.race([changed, late.promise])
      }
    } finally {
      clearTimeout(timer)
      clearInterval(looking)
    }
  }

  /**
   * Stop every process and remove the folder. Nothing is left, even if it rejects. It rejects with what went
   * wrong in a process: with `ProcessLingered` if one did not exit by itself, with `ProcessEnded` if one had
   * crashed.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #stop(): Promise<void> {
    await Promise.allSettled(this.#starting)
    // One that is paused may hold the lock that the others need to take their leave.
    for (const replica of this.replicas) if (replica.paused) replica.resume()
    const unfinished = this.replicas.filter((replica) => replica.running || replica.crashed)
    const outcomes = await Promise.allSettled(unfinished.map((replica) => replica.stop()))
    await rm(this.dir, { recursive: true, force: true })
    this.#removalCalledOff()
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('\n'))
    if (errors.length === 1) throw errors[0]
  }

  #changed(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }
}
