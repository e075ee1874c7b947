/**
 * Run replicas as real processes on this machine, in tests: start, stop, kill and pause them, wait for what
 * should happen, and leave nothing behind.
 *
 * @example
 * ```ts
 * import { startCluster } from 'anchorage/testing'
 *
 * await using cluster = await startCluster({ replicas: 3 })
 * const [first, second] = cluster.replicas
 * await first.set('greeting', 'hello')
 * await first.kill()
 * await second.barrier()
 * console.log(await second.get('greeting'))
 * ```
 *
 * The processes replicate a map of JSON values. For a state machine of your own, write a module that calls
 * `serveReplica`, and pass its URL as `program`.
 *
 * To begin with, check your machine by itself, against the contract of `StateMachine`: see `checkMachine`.
 *
 * Or run a whole group in this process, from a seed, with all kinds of trouble, and have the promises of
 * Anchorage checked for your own machine after each thing that happens: see `simulate`.
 *
 * @packageDocumentation
 */

export type {
  ErrorSummary,
  ProcessEvent,
  ProcessEventType,
  SessionSummary,
  SyncSummary,
} from '../observe/events.ts'
export type { StartOptions } from '../processes/cluster.ts'
export * from '../processes/errors.ts'
export type { ProgramOptions, ReplicaOptions } from '../processes/messages.ts'
export {
  clusterWarning,
  findNatsServer,
  isFitForClusters,
  type NatsServer,
  type NatsServers,
  type NatsServersInit,
  natsServerVersion,
  startNatsServers,
} from '../processes/nats-servers.ts'
export {
  findPostgres,
  type Postgres,
  type PostgresInit,
  type PostgresInstance,
  startPostgres,
} from '../processes/postgres-server.ts'
export {
  type ProgramMethods,
  type ReplicaProgram,
  type ReplicaStatus,
  serveReplica,
} from '../processes/program.ts'
export type { WaitForOptions, WaitOptions } from '../processes/replica-process.ts'
export { type MachineCheck, MachineFault } from './check-machine/machine-fault.ts'
export type { TimedCommand } from './check-machine/script.ts'
export type { MachineFactory } from './check-machine/workshop.ts'
export {
  type CheckedCommands,
  type CheckMachineOptions,
  checkMachine,
  type MachineReport,
  type OlderVersion,
} from './check-machine.ts'
export { Cluster, type ClusterInit, startCluster } from './cluster.ts'
export type { ReplicaProcess } from './map-process.ts'
export type { FillOptions, WritingOptions } from './map-program.ts'
export * from './simulation/index.ts'
