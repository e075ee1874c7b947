/**
 * All that a replica is given and tells, `anchorage/replica`: each type that its options, events and answers are made
 * of. The names that most programs write are in `anchorage`, too.
 *
 * @packageDocumentation
 */

// The replica, and its options.
export { createReplica } from './start.ts'
export type { Replica } from './replica.ts'
export type { ReplicaInit } from './init.ts'
export type { CheckpointPolicy } from './disk/checkpointer.ts'
export type { PrunePolicy } from './membership/pruner.ts'
export type { UpgradeOptions, UpgradePolicy } from './membership/upgrader.ts'
export type { NetworkKeys } from './node/network-key.ts'
export type { ProviderLimits } from '../sync/limits.ts'
export type { Clock } from '../time/clock.ts'
export type { Logger } from './warnings.ts'

// The memory of its process: call it first in a program.
export { tuneGarbageCollection } from '../garbage-collection.ts'

// Its events.
export type {
  ReplicaEvents,
  ReplicaEvent,
  StateChange,
  CatchUpReport,
  Divergence,
  GroupUpgrade,
  Counted,
} from './events.ts'
export type { CheckpointEvent } from '../checkpoint/store.ts'
export type { SyncEvent } from '../sync/events.ts'

// Its state, and how far it has come.
export type { ReplicaState } from '../group/announcement.ts'
export type { CatchUpPhase, CatchUpProgress, ProviderProgress } from '../group/catch-up-progress.ts'
export type { CaughtUp, ChunkMap } from '../sync/fetching/index.ts'
export type { LogLag } from './following/positions.ts'
export * from '../position.ts'

// Its group: who is in it, what they announce and serve, and what keeps the log from being pruned.
export type { Member } from '../group/membership.ts'
export type { SilentMember } from '../group/silent-members.ts'
export type { AnnouncedOffer, Announcement } from '../group/announcement.ts'
export type { OfferView } from '../sync/wire/messages.ts'
export type { HoldCause, LogHold } from '../group/pruning.ts'
