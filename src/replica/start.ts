import { generateKeyPair } from '@libp2p/crypto/keys'
import type { ComponentLogger, PrivateKey } from '@libp2p/interface'
import { DataDirectory } from '../checkpoint/data-directory.ts'
import { fileStorage } from '../checkpoint/file-storage.ts'
import type { OwnPresence } from '../group/namesakes.ts'
import type { Log } from '../log/log.ts'
import { ComponentSink } from '../logging/component-sink.ts'
import { debugLogger } from '../logging/debug-logger.ts'
import { asError } from '../thrown.ts'
import { sleep, systemClock } from '../time/clock.ts'
import { KeptState } from './disk/kept-state.ts'
import { IdentityInUse } from './errors.ts'
import type { StateChange } from './events.ts'
import { openLog } from './following/open-log.ts'
import { assertImported } from './import/assert-imported.ts'
import type { ReplicaInit } from './init.ts'
import type { ReplicaInternals } from './internals.ts'
import { isComponentLogger } from './logging/component-logger.ts'
import { ReplicaLog } from './logging/replica-log.ts'
import { makeParts } from './make-parts.ts'
import { Libp2pNode } from './node/libp2p-node.ts'
import { checkOptions } from './options.ts'
import type { Environment, ReplicaParts } from './parts.ts'
import { Replica } from './replica.ts'
import { Reporter } from './reporter.ts'
import { Status } from './status.ts'
import { closeEnvironment, stopParts } from './stop.ts'
import { Warnings } from './warnings.ts'

/** Pause before the presence store is watched again after an error, in milliseconds: short beside a lease. */
const RETRY_MS = 500

/**
 * Start a replica. Resolves when its log is open and its node listens. `inSync()` tells when it has caught
 * up. Rejects with `RangeError` for an impossible option, with `PruneRefused` for `prune` without `dataDir`
 * or `volatile`, with `DirectoryInUse`, `DirectoryUnusable`, `DirectoryOfAnotherLog`, `ImportUnfinished` and
 * `StateOfAnotherLog`, with `ListenFailed`, and with what the log says (`LogMismatch`, `LogUnusable`, …).
 *
 * @example
 * ```ts
 * const machine = new ReplicatedMap<string, City>()
 * const log = sqliteLog({ path: 'cities.db' })
 * await using replica = await createReplica({ group: 'cities', machine, log })
 * await replica.inSync()
 * await machine.set('CH/Bern', { population: 134_794 })
 * ```
 */
export async function createReplica<Result>(init: ReplicaInit<Result>): Promise<Replica<Result>> {
  return await createReplicaOn({}, init)
}

/** @internal As `createReplica`, over another network or storage than the defaults. */
export async function createReplicaOn<Result>(
  internals: ReplicaInternals,
  init: ReplicaInit<Result>,
): Promise<Replica<Result>> {
  checkOptions(init)
  const { storage = fileStorage } = internals
  const clock = init.clock ?? systemClock
  const stopping = new AbortController()
  const status = new Status()
  const reporter = new Reporter({ status, clock, stopping: stopping.signal })
  const opened: { data?: DataDirectory; log?: Log; parts?: ReplicaParts<Result> } = {}
  try {
    if (init.dataDir !== undefined) opened.data = await DataDirectory.open(init.dataDir, storage)
    const { data } = opened
    const key = init.privateKey ?? (await data?.identity()) ?? (await generateKeyPair('Ed25519'))
    const network = internals.network?.(key) ?? nodeOf(init, key)
    logEvents(init, { clock, network, reporter })
    const onProblem = (error: Error) => reporter.warn(error)
    const kept = KeptState.of(init)
    opened.log = await openLog(
      init,
      { author: network.self, onProblem },
      { belonging: data?.belonging, kept },
    )
    if (data !== undefined) await assertImported(data, opened.log, stopping.signal)
    const environment = { clock, storage, network, log: opened.log, data, kept, stopping, status, reporter }
    opened.parts = await makeParts(init, environment, internals)
    tie(opened.parts)
    return await begin(opened.parts)
  } catch (error) {
    if (opened.parts !== undefined) await stopParts(opened.parts)
    else {
      stopping.abort(error)
      await closeEnvironment(opened)
    }
    throw error
  }
}

function nodeOf<Result>(init: ReplicaInit<Result>, privateKey: PrivateKey): Libp2pNode {
  const { listen, announce, networkKey, limits } = init
  const libp2p = { logger: componentLoggerOf(init), ...init.libp2p }
  return new Libp2pNode({ privateKey, listen, announce, libp2p, networkKey, limits })
}

/** What the application gave, or what `DEBUG` in the environment asks for. */
function componentLoggerOf<Result>({ logger, libp2p }: ReplicaInit<Result>): ComponentLogger {
  return isComponentLogger(logger) ? logger : (libp2p?.logger ?? debugLogger)
}

/** Every event goes to the loggers of components, and what an operator has to know to `logger`. */
function logEvents<Result>(
  init: ReplicaInit<Result>,
  { clock, network, reporter }: Pick<Environment, 'clock' | 'network' | 'reporter'>,
): void {
  const { group: groupName, logger } = init
  const { self } = network
  const sink = new ComponentSink(componentLoggerOf(init), { group: groupName, replica: self })
  const log = new ReplicaLog({ clock, sink, self })
  reporter.observe((event) => log.happened(event))
  // It is told of them as of every event.
  if (isComponentLogger(logger)) return
  reporter.warnBy(new Warnings({ clock, self, groupName, logger }))
}

/** Who hears of what. */
function tie<Result>(parts: ReplicaParts<Result>): void {
  const { status, membership, progress, holders, leadership, upgrader, reporter, catchUpWatch } = parts
  status.onChange((change) => stateChanged(parts, change))
  reporter.observe((event) => catchUpWatch.happened(event))
  membership.listen({
    membersChanged: () => {
      progress.observe(membership.list())
      holders.look()
      leadership.check()
      upgrader.look()
    },
    sawOwn: (notice) => sawOwn(parts, notice),
  })
}

/**
 * Whoever waits for something to be applied is told why it will not be. A replica that was lost may yet get a
 * state.
 */
function stateChanged<Result>(parts: ReplicaParts<Result>, change: StateChange): void {
  const { applier, disk, pruner, announcer, leadership, upgrader, reporter } = parts
  const { state, previous, reason } = change
  if (state === 'in-sync') reporter.recovered()
  if (previous === 'lost' && state !== 'halted' && state !== 'stopped') applier.recover()
  if ((state === 'halted' || state === 'lost') && reason !== undefined) {
    applier.fail(reason)
    disk?.fail(reason)
    if (state === 'halted') pruner.stop(reason)
    else pruner.fail(reason)
  }
  if (state !== 'stopped') announcer.soon()
  leadership.check()
  upgrader.look()
  reporter.emit('state', change)
}

/** Another process may have this replica's identity. */
function sawOwn<Result>(parts: ReplicaParts<Result>, notice: OwnPresence): void {
  const { network, namesakes, announcer, follower, sync, reporter } = parts
  const found = namesakes.saw(notice)
  switch (found) {
    case undefined:
      return
    case 'found':
      reporter.problem(new IdentityInUse(network.self))
      // The other one is to see that this process is there.
      return announcer.soon()
    case 'yield':
      // The other one is the replica of this name, and this one is none any more.
      follower.halt(new IdentityInUse(network.self))
      return sync.withdraw()
    default:
      return found satisfies never
  }
}

/** Listen, join the group, and begin to follow the log. */
async function begin<Result>(parts: ReplicaParts<Result>): Promise<Replica<Result>> {
  const { network, log, machine, announcer, pruner, ticks, sync, stopping } = parts
  const { signal } = stopping
  await network.start(sync)
  await announcer.join(parts)
  const replica = new Replica(parts)
  machine.attach?.(replica)
  const offConnection = log.connection?.onChange((connected) => connectionChanged(parts, connected))
  signal.addEventListener('abort', () => offConnection?.())
  parts.running.push(follow(parts, signal), watchMembers(parts, signal))
  pruner.start()
  ticks.start(signal)
  return replica
}

function connectionChanged<Result>(parts: ReplicaParts<Result>, connected: boolean): void {
  const { membership, progress, leadership, follower, reporter } = parts
  if (connected) {
    membership.reconnected()
    progress.reconnected()
    leadership.reconnected()
  } else follower.disconnected()
  reporter.emit('log', { connected })
}

/** Load what the data directory has, and follow the log from there. */
async function follow<Result>(parts: ReplicaParts<Result>, signal: AbortSignal): Promise<void> {
  const { clock, reporter, disk, installer, sync, follower, outcomes } = parts
  // The application gets to listen before anything happens.
  await clock.turn()
  reporter.tellHeld()
  try {
    await disk?.load(installer, sync, signal)
  } catch {
    // Stopped before it was loaded.
    return
  }
  await follower.run(outcomes, signal)
}

async function watchMembers<Result>(parts: ReplicaParts<Result>, signal: AbortSignal): Promise<void> {
  const { clock, membership, reporter } = parts
  while (!signal.aborted) {
    try {
      await membership.run(signal)
    } catch (error) {
      if (signal.aborted) return
      reporter.problem(asError(error))
      await sleep(clock, RETRY_MS, signal).catch(() => {})
    }
  }
}
