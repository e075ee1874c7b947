/**
 * Run replicas as real processes on this machine, in tests: start, stop, kill and pause them, wait for what should
 * happen, and leave nothing behind.
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
 * @packageDocumentation
 */

export { Cluster, type ClusterInit, type StartOptions, startCluster } from './cluster.ts'
export * from './errors.ts'
export type { ErrorSummary, ProcessEvent, ProcessEventType, SessionSummary, SyncSummary } from './events.ts'
export type { ProgramOptions, ReplicaOptions } from './messages.ts'
export {
  clusterWarning,
  findNatsServer,
  isFitForClusters,
  type NatsServer,
  type NatsServers,
  type NatsServersInit,
  natsServerVersion,
  startNatsServers,
} from './nats-servers.ts'
export type { ReplicaProcess, WaitForOptions, WaitOptions } from './process.ts'
export { type ProgramMethods, type ReplicaProgram, type ReplicaStatus, serveReplica } from './program.ts'
export type { FillOptions, WritingOptions } from './replica-process.ts'
