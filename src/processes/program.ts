import { tuneGarbageCollection } from '../garbage-collection.ts'
import type { LogBackend } from '../log/log.ts'
import { logAt } from '../log/log-at.ts'
import type { StateMachine } from '../machine/machine.ts'
import { EventReporter } from '../observe/event-reporter.ts'
import type { Position } from '../position.ts'
import type { Replica } from '../replica/replica.ts'
import { createReplica } from '../replica/start.ts'
import { serializeError } from '../serialized-error.ts'
import { NoSuchMethod, NotStartedByCluster } from './errors.ts'
import { backendOf } from './log-module.ts'
import type { Command, ProgramOptions, Report } from './messages.ts'

/** What `ReplicaProcess.call` reaches. Arguments and results travel by structured clone. */
export type ProgramMethods<Machine> = Readonly<
  Record<string, (replica: Replica, machine: Machine, ...args: never[]) => unknown>
>

/** What `serveReplica` runs. */
export interface ReplicaProgram<Machine extends StateMachine> {
  /** Makes the state machine. */
  readonly machine: (options: ProgramOptions) => Machine
  /** Default: the backend of the cluster's `logModule`, or else `logAt(options.log)`. */
  readonly log?: (options: ProgramOptions) => LogBackend
  /** What `ReplicaProcess.call` reaches, by name. Names that begin with `replica.` are taken. Default: none. */
  readonly methods?: ProgramMethods<Machine>
}

/**
 * When a stopped replica still has a process, in milliseconds after which it says what keeps it: the cluster
 * is about to kill it.
 */
const LINGERING_MS = 2_000

/**
 * Make this module the program of a cluster's processes, as `startCluster({ program })` takes its URL:
 * `new URL('./mine.ts', import.meta.url)`. It starts a replica when the cluster says so, reports its events,
 * answers calls, and ends with the cluster.
 *
 * @example
 * ```ts
 * serveReplica({
 *   machine: () => new Tally(),
 *   methods: {
 *     add: (replica, _tally, name: string, amount: number) => replica.submit(encode([name, amount])),
 *     total: (_replica, tally, name: string) => tally.total(name),
 *   },
 * })
 * ```
 *
 * @throws {NotStartedByCluster} when the module is run by anything else.
 */
export function serveReplica<Machine extends StateMachine>(program: ReplicaProgram<Machine>): void {
  if (process.send === undefined) throw new NotStartedByCluster()
  tuneGarbageCollection()
  new ReplicaServer(program).listen()
}

interface Running<Machine> {
  readonly replica: Replica
  readonly machine: Machine
  readonly reporter: EventReporter
}

/** The replica of this process, as its parent commands it. */
class ReplicaServer<Machine extends StateMachine> {
  readonly #program: ReplicaProgram<Machine>
  readonly #methods: ProgramMethods<Machine>
  #running: Running<Machine> | undefined
  #leaving = false

  constructor(program: ReplicaProgram<Machine>) {
    this.#program = program
    this.#methods = { ...program.methods, ...replicaMethods }
  }

  listen(): void {
    process.on('message', (command: Command) => {
      this.#perform(command).catch((error: unknown) => this.#fail(error))
    })
    process.on('disconnect', () => {
      if (!this.#leaving) process.exit(1)
    })
    // Ctrl-C in a terminal reaches the whole process group. The parent decides what it means.
    process.on('SIGINT', () => {})
  }

  async #perform(command: Command): Promise<void> {
    switch (command.type) {
      case 'start':
        return await this.#start(command.options)
      case 'call':
        return await this.#answer(command.call, command.method, command.args)
      case 'stop':
        return await this.#stop()
      default:
        return command satisfies never
    }
  }

  async #start(options: ProgramOptions): Promise<void> {
    const { name: _, group, log: place, logModule, settings: __, ...init } = options
    const machine = this.#program.machine(options)
    const named = () => (logModule === undefined ? logAt(place) : backendOf(new URL(logModule), group))
    const log = this.#program.log?.(options) ?? (await named())
    const replica = await createReplica({ ...init, group, machine, log })
    const reporter = EventReporter.listening(replica, (event) => void send({ type: 'event', event }))
    this.#running = { replica, machine, reporter }
    await send({ type: 'started', id: replica.id })
  }

  async #answer(call: number, method: string, args: unknown[]): Promise<void> {
    try {
      const called = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined
      if (called === undefined || this.#running === undefined)
        throw new NoSuchMethod(method, Object.keys(this.#methods))
      const { replica, machine } = this.#running
      const value = await called(replica, machine, ...(args as never[]))
      await send({ type: 'returned', call, value })
    } catch (error) {
      await send({ type: 'threw', call, error: serializeError(error) })
    }
  }

  async #stop(): Promise<void> {
    await this.#running?.replica.stop()
    this.#running?.reporter.flush()
    await send({ type: 'stopped' })
    this.#leave()
  }

  async #fail(error: unknown): Promise<void> {
    process.exitCode = 1
    await send({ type: 'failed', error: serializeError(error) })
    this.#leave()
  }

  #leave(): void {
    this.#leaving = true
    process.disconnect()
    setTimeout(() => {
      console.error('still running after stop():', process.getActiveResourcesInfo().join(', '))
    }, LINGERING_MS).unref()
  }
}

/**
 * Resolves when the message is handed over. A parent that is gone is no error: `disconnect` ends this
 * process.
 */
function send(report: Report): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(report, undefined, undefined, () => resolve())
    else resolve()
  })
}

/** What a replica in another process says of itself: its properties of the same names. */
export type ReplicaStatus = ReturnType<(typeof replicaMethods)['replica.status']>

/** The methods that every program has. */
const replicaMethods = {
  'replica.inSync': (replica: Replica) => replica.inSync(),
  'replica.barrier': (replica: Replica) => replica.barrier(),
  'replica.mark': (replica: Replica) => replica.mark(),
  'replica.checkpointed': (replica: Replica, _: unknown, position: Position) =>
    replica.checkpointed(position),
  'replica.prune': (replica: Replica, _: unknown, options: { keepEntries?: number }) =>
    replica.prune(options),
  'replica.upgrade': (replica: Replica, _: unknown, options: { to?: string }) => replica.upgrade(options),
  'replica.rootAt': async (replica: Replica, _: unknown, anchor: Position) =>
    Buffer.from(await replica.rootAt(anchor)).toString('hex'),
  'replica.status': (replica: Replica) => {
    const { id, state, logConnected, position, timeMs, leader, term, offers, members, addresses } = replica
    const { signature, format } = replica
    return {
      ...{ id, state, logConnected, position, timeMs, leader, term, offers, members, addresses },
      ...{ signature, format },
    }
  },
}
