/**
 * Replicate state among processes, and let a new one catch up from its peers: a map, a log of its writes, and
 * replicas that follow it.
 *
 * @example
 * ```ts
 * import { createReplica, ReplicatedMap, sqliteLog } from 'anchorage'
 *
 * const cities = new ReplicatedMap<string, number>()
 * await using replica = await createReplica({
 *   group: 'cities',
 *   machine: cities,
 *   log: sqliteLog({ path: 'cities.db' }),
 * })
 * await replica.inSync()
 * await cities.set('Bern', 134_794)
 * ```
 *
 * Here is what such a program writes. Each other part has an entry point of its own: `anchorage/machines` has more
 * of what can be replicated, `anchorage/machine` and `anchorage/log` are for those that write their own,
 * `anchorage/errors` has all errors, and `docs/entry-points.md` lists all.
 *
 * @packageDocumentation
 */

// A replica: one process's copy of the state. It follows the log, serves its peers, and catches up from them.
export { createReplica } from './replica/start.ts'
export type { Replica } from './replica/replica.ts'
export type { ReplicaInit } from './replica/init.ts'
export type { CheckpointPolicy } from './replica/disk/checkpointer.ts'
export type { PrunePolicy } from './replica/membership/pruner.ts'
export type { UpgradePolicy } from './replica/membership/upgrader.ts'
export type { NetworkKeys } from './replica/node/network-key.ts'
export type { Logger } from './replica/warnings.ts'

// The log, where the group's writes get their order: a file, NATS JetStream, PostgreSQL, or memory for tests.
export { sqliteLog, type SqliteLogOptions } from './log/sqlite.ts'
export { jetstreamLog, type JetstreamLogOptions } from './log/jetstream.ts'
export { postgresLog, type PostgresLogOptions } from './log/postgres.ts'
export { memoryLog, type MemoryLog, type MemoryLogOptions } from './log/memory.ts'
export { logAt } from './log/log-at.ts'
export type { LogBackend } from './log/log.ts'

// The state: a map. `anchorage/machines` has sets, lists, queues, tables of SQLite, and compositions of them.
export {
  ReplicatedMap,
  type ReplicatedMapInit,
  type MapChange,
  type MapRange,
  type MapResult,
  type SetOptions,
  type SetResult,
} from './machines/map/replicated-map.ts'

// Codecs, by which keys and values become bytes.
export { bytesCodec, jsonCodec, stringCodec, type Codec, type Json } from './machine/codec.ts'

// Writes: their options, their results, and the place of each in the log.
export type { SubmitOptions, Written } from './machine/machine.ts'
export type { Position } from './position.ts'

// What a replica tells: its state, its events, the members of its group, and how far it has caught up.
export type { ReplicaState } from './group/announcement.ts'
export type { CatchUpReport, ReplicaEvent, ReplicaEvents } from './replica/events.ts'
export type { CatchUpProgress } from './group/catch-up-progress.ts'
export type { Member } from './group/membership.ts'

// Errors that programs catch by name. `anchorage/errors` has all.
export { AnchorageError } from './errors.ts'
export { AppendUncertain, LogUnavailable } from './log/errors.ts'
export { Conflict } from './group/errors.ts'
export { NotInTime, NotReadable, ReplicaStopped, StateLost } from './replica/errors.ts'
