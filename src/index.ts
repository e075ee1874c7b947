export * from './checkpoint/errors.ts'
export type { CheckpointEvent } from './checkpoint/store.ts'
export { AnchorageError } from './errors.ts'
export { tuneGarbageCollection } from './garbage-collection.ts'
export type { AnnouncedOffer, Announcement, ReplicaState } from './group/announcement.ts'
export type { CatchUpPhase, CatchUpProgress, ProviderProgress } from './group/catch-up-progress.ts'
export { Conflict, GroupOutdated, UpgradeRefused, UpgradeRequired } from './group/errors.ts'
export type { Member } from './group/membership.ts'
export { type HoldCause, type LogHold, PruneRefused } from './group/pruning.ts'
export type { SilentMember } from './group/silent-members.ts'
export * from './log/errors.ts'
export { type JetstreamLogOptions, jetstreamLog, type LogBeginning } from './log/jetstream.ts'
export type * from './log/log.ts'
export { type LogPlace, logAt } from './log/log-at.ts'
export { type MemoryLog, type MemoryLogOptions, memoryLog } from './log/memory.ts'
export { type PostgresLogOptions, postgresLog } from './log/postgres.ts'
export type * from './log/presence.ts'
export type { Presence as Notice, PresenceStore as NoticeBoard } from './log/presence.ts'
export { type SqliteLogOptions, sqliteLog } from './log/sqlite.ts'
export { bytesCodec, type Codec, type Json, jsonCodec, stringCodec } from './machine/codec.ts'
export {
  AlreadyAttached,
  KeyTooLarge,
  MalformedItem,
  NotAttached,
  Refusal,
  SnapshotReleased,
  Undecodable,
  Unencodable,
} from './machine/errors.ts'
export { Items } from './machine/items.ts'
export * from './machine/machine.ts'
export { KEY_BYTES_MAX } from './machines/limits.ts'
export type { MapCommands } from './machines/map/map-commands.ts'
export {
  type MapChange,
  type MapEvents,
  type MapRange,
  type MapResult,
  ReplicatedMap,
  type ReplicatedMapInit,
  type SetManyResult,
  type SetOptions,
  type SetResult,
} from './machines/map/replicated-map.ts'
export type { TtlOption } from './machines/ttl.ts'
export type { Message, NewMessage } from './message.ts'
export * from './position.ts'
export type { CheckpointPolicy } from './replica/disk/checkpointer.ts'
export * from './replica/errors.ts'
export type {
  CatchUpReport,
  Counted,
  Divergence,
  GroupUpgrade,
  ReplicaEvent,
  ReplicaEvents,
  StateChange,
} from './replica/events.ts'
export type { LogLag } from './replica/following/positions.ts'
export * from './replica/import/errors.ts'
export {
  type Imported,
  type ImportInit,
  type ImportProgress,
  importInto,
  type Transform,
} from './replica/import/import-into.ts'
export { type ImportSource, itemsInFile } from './replica/import/source.ts'
export type { ReplicaInit } from './replica/init.ts'
export type { PrunePolicy } from './replica/membership/pruner.ts'
export type { UpgradeOptions, UpgradePolicy } from './replica/membership/upgrader.ts'
export type { NetworkKeys } from './replica/node/network-key.ts'
export type { Replica } from './replica/replica.ts'
export { createReplica } from './replica/start.ts'
export type { Logger } from './replica/warnings.ts'
export { SnapshotTooLarge } from './snapshot/errors.ts'
export type { ChunkInfo, Manifest } from './snapshot/manifest.ts'
export * from './sync/index.ts'
export { ThrownValue } from './thrown.ts'
export { type Clock, systemClock, type Timer } from './time/clock.ts'
export { VirtualClock } from './time/virtual-clock.ts'
export { SPANS, SPANS as STRETCHES, type Span, type Span as Stretch } from './time/yielder.ts'
