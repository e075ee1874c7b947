import { EventReporter } from '../../observe/event-reporter.ts'
import { ReplicaLog } from '../../replica/logging/replica-log.ts'
import { checkAddresses } from '../../replica/node/multiaddrs.ts'
import type { Replica } from '../../replica/replica.ts'
import { createReplica } from '../../replica/start.ts'
import { asError } from '../../thrown.ts'
import { systemClock } from '../../time/clock.ts'
import { type Context, EXIT } from '../context.ts'
import { OutputBroken, ReplicaHalted, UsageError } from '../errors.ts'
import { EventFormatter } from '../event-formatter.ts'
import { nameOf, newLog } from '../log/open-log.ts'
import type { Level, PinoSink } from '../logging/pino-sink.ts'
import { machineOf, matching } from '../machine-module.ts'
import type { Output } from '../output.ts'
import type { HttpAddress } from '../program/arguments.ts'
import { ServiceManager } from '../service/service-manager.ts'
import { SystemdNotify } from '../service/systemd-notify.ts'
import { networkOf } from './network-key.ts'

export interface NodeOptions {
  /** A module with the machine. Default: the map. */
  readonly machine?: string
  readonly listen?: readonly string[]
  readonly announce?: readonly string[]
  readonly reader?: boolean
  readonly volatile?: boolean
  /** The replica's data directory. */
  readonly data?: string
  /** The state in `data` is of another log, and may be left there. */
  readonly newLog?: boolean
  readonly keep?: number
  readonly chunkBytes?: number
  readonly ttlMs?: number
  readonly leaseMs?: number
  readonly snapshotAfter?: number
  /** Where to answer over HTTP. Default: nowhere. */
  readonly http?: HttpAddress
  /** Whether the metrics there have libp2p's own beside them. */
  readonly libp2pMetrics?: boolean
  /** What is told on standard error, as a log. Default: text for people, on standard output. */
  readonly logLevel?: Level
}

/** Runs a replica until Ctrl-C. */
export async function node(context: Context, options: NodeOptions): Promise<number> {
  const { output, signal } = context
  assertUsable(options)
  const { keep: keepEntries, reader, data: dataDir, machine: path, http, logLevel, ...others } = options
  const { libp2pMetrics, ...init } = others
  const log = logLevel && (await import('../logging/log-output.ts')).logTo(output, logLevel)
  if (log !== undefined) output.logBy(log)
  if (options.volatile)
    output.note('volatile: when all replicas are down at once, the pruned part of the state is gone')
  using manager = managerOf(output)
  const machine = await machineOf(path)
  // Before there is a replica: nothing of what happens to it is to be missed meanwhile.
  const observe = http && (await import('../../observe/index.ts'))
  const libp2p = libp2pMetrics ? new (await import('./libp2p-metrics.ts')).Libp2pMetrics() : undefined
  await using replica = await createReplica({
    ...init,
    ...libp2p?.init,
    group: context.group,
    machine,
    log: matching(
      newLog(context, ({ hasMessages }) =>
        output.note(
          `there was no log at ${nameOf(context)}: ${hasMessages ? 'began one in the stream of others' : 'made an empty one'}`,
        ),
      ),
      { path, log: nameOf(context), machine },
    ),
    lead: !reader,
    ...(dataDir !== undefined && { dataDir }),
    ...(await networkOf(context)),
    ...(keepEntries !== undefined && { prune: { keepEntries } }),
    ...(log !== undefined && { logger: false }),
  })
  const { id, addresses } = replica
  output.result(
    { event: 'started', atMs: Date.now(), id, addresses },
    `replica ${id}\nlistens on ${addresses.join(' and ')}`,
  )
  const observed = observe?.observeReplica(
    replica,
    libp2p && { registry: libp2p.registry, processMetrics: true },
  )
  const replicaLog = log && follow(replica, log)
  const reporter = log === undefined || output.json ? reportTo(output, replica) : undefined
  const halts = haltOf(replica, signal)
  await using server = observed && (await observe?.serveHttp(observed, http))
  if (server !== undefined) {
    const { url } = server
    output.result(
      { event: 'http', atMs: Date.now(), url },
      `answers ${url}/ with a live page, and /metrics, /healthz and /readyz`,
    )
  }
  // Now, and not before: what waits for it finds the replica in sync, and its server as well.
  manager?.follow(replica)
  const halted = await halts
  manager?.stopping()
  await replica.stop()
  reporter?.flush()
  replicaLog?.flush()
  const { reason } = signal
  if (reason instanceof OutputBroken && reason.exitCode !== undefined)
    output.note('stopped, since nobody takes the output any more')
  if (halted !== undefined) throw new ReplicaHalted(halted, dataDir)
  return EXIT.ok
}

/** Undefined where no service manager wants to be told. */
function managerOf(output: Output): ServiceManager | undefined {
  const notify = SystemdNotify.in(process.env)
  if (notify === undefined) return undefined
  const send = (assignments: readonly string[]) => notify.send(assignments)
  return new ServiceManager({ clock: systemClock, send, note: (text) => output.note(text) })
}

function follow<Result>(replica: Replica<Result>, log: PinoSink): ReplicaLog {
  const { id: self, group } = replica
  const replicaLog = new ReplicaLog({ clock: systemClock, sink: log.with({ group, replica: self }), self })
  replica.observe((event) => replicaLog.happened(event))
  return replicaLog
}

function reportTo(output: Output, replica: Pick<Replica, 'id' | 'addEventListener'>): EventReporter {
  const formatter = new EventFormatter(output, replica.id)
  return EventReporter.listening(replica, (event) => {
    const { type, detail, atMs } = event
    if (output.json) return output.object({ event: type, atMs: Math.round(atMs), detail })
    const text = formatter.tell(event)
    if (text !== undefined) output.line(`${output.style('dim', clockTime(atMs))} ${text}`)
  })
}

/** Throws `UsageError`. */
function assertUsable(options: NodeOptions): void {
  try {
    checkAddresses(options)
  } catch (error) {
    throw new UsageError(asError(error).message)
  }
  if (options.keep !== undefined && !options.volatile && options.data === undefined)
    throw new UsageError(
      '--keep prunes the log, so what is pruned lives only in the memory of the replicas: add --data DIR to keep it on disk, or --volatile if you accept that',
    )
  if (options.libp2pMetrics && options.http === undefined)
    throw new UsageError('--libp2p-metrics are read over HTTP: add --http ADDRESS')
}

/** Resolves with the reason when the replica halts, or with undefined when the signal aborts first. */
function haltOf<Result>(replica: Replica<Result>, signal: AbortSignal): Promise<Error | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
    replica.addEventListener('state', ({ detail: { state, reason } }) => {
      if (state === 'halted') resolve(reason)
    })
  })
}

function clockTime(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8)
}
