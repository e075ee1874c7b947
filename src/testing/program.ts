import { tuneGarbageCollection } from '../garbage-collection.ts'
import type { LogBackend } from '../log/log.ts'
import { logAt } from '../log/log-at.ts'
import type { StateMachine } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import type { Replica } from '../replica/replica.ts'
import { createReplica } from '../replica/start.ts'
import { serializeError } from '../serialized-error.ts'
import { NoSuchMethod, NotStartedByCluster } from './errors.ts'
import { reportEvents } from './events.ts'
import type { Command, ProgramOptions, Report } from './messages.ts'

/** What `ReplicaProcess.call` reaches. Arguments and results travel by structured clone. */
export type ProgramMethods<Machine> = Readonly<
  Record<string, (replica: Replica, machine: Machine, ...args: never[]) => unknown>
>

export interface ReplicaProgram<Machine extends StateMachine> {
  /** Makes what is replicated. */
  readonly machine: (options: ProgramOptions) => Machine
  /** Default: `logAt(options.log)`. */
  readonly log?: (options: ProgramOptions) => LogBackend
  readonly methods?: ProgramMethods<Machine>
}

/** When a stopped replica still keeps its process, say what does: the cluster is about to kill it. */
const LINGERING_MS = 2_000

/**
 * Make this module the program of a cluster's processes: `startCluster({ program: new URL('./mine.ts', import.meta.url) })`.
 * It starts a replica when the cluster says so, reports its events, answers calls, and ends with the cluster.
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
  const methods: ProgramMethods<Machine> = { ...program.methods, ...replicaMethods }
  let running:
    | { readonly replica: Replica; readonly machine: Machine; readonly flush: () => void }
    | undefined
  let leaving = false

  const start = async (options: ProgramOptions) => {
    const { name: _, group, log: place, settings: __, ...init } = options
    const machine = program.machine(options)
    const log = program.log?.(options) ?? logAt(place)
    const replica = await createReplica({ ...init, group, machine, log })
    running = {
      replica,
      machine,
      flush: reportEvents(replica, (event) => void send({ type: 'event', event })),
    }
    await send({ type: 'started', id: replica.id })
  }

  const answer = async (call: number, method: string, args: unknown[]) => {
    try {
      const called = Object.hasOwn(methods, method) ? methods[method] : undefined
      if (called === undefined || running === undefined) throw new NoSuchMethod(method, Object.keys(methods))
      const value = await called(running.replica, running.machine, ...(args as never[]))
      await send({ type: 'returned', call, value })
    } catch (error) {
      await send({ type: 'threw', call, error: serializeError(error) })
    }
  }

  const leave = () => {
    leaving = true
    process.disconnect()
    setTimeout(() => {
      console.error('still running after stop():', process.getActiveResourcesInfo().join(', '))
    }, LINGERING_MS).unref()
  }

  const stop = async () => {
    await running?.replica.stop()
    running?.flush()
    await send({ type: 'stopped' })
    leave()
  }

  const fail = async (error: unknown) => {
    process.exitCode = 1
    await send({ type: 'failed', error: serializeError(error) })
    leave()
  }

  process.on('message', (command: Command) => {
    switch (command.type) {
      case 'start':
        return void start(command.options).catch(fail)
      case 'call':
        return void answer(command.call, command.method, command.args).catch(fail)
      case 'stop':
        return void stop().catch(fail)
      default:
        return command satisfies never
    }
  })
  process.on('disconnect', () => {
    if (!leaving) process.exit(1)
  })
  // Ctrl-C in a terminal reaches the whole process group: whoever started the cluster decides what it means.
  process.on('SIGINT', () => {})
}

/** Resolves when the message is handed over. A parent that is gone is no error: `disconnect` ends this process. */
function send(report: Report): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(report, undefined, undefined, () => resolve())
    else resolve()
  })
}

export type ReplicaStatus = ReturnType<(typeof replicaMethods)['replica.status']>

/** What every program answers. */
const replicaMethods = {
  'replica.inSync': (replica: Replica) => replica.inSync(),
  'replica.barrier': (replica: Replica) => replica.barrier(),
  'replica.mark': (replica: Replica) => replica.mark(),
  'replica.prune': (replica: Replica, _: unknown, options: { keepEntries?: number }) =>
    replica.prune(options),
  'replica.rootAt': async (replica: Replica, _: unknown, anchor: Position) =>
    Buffer.from(await replica.rootAt(anchor)).toString('hex'),
  'replica.status': (replica: Replica) => {
    const { id, state, logConnected, position, timeMs, leader, term, offers, members, addresses } = replica
    return { id, state, logConnected, position, timeMs, leader, term, offers, members, addresses }
  },
}
