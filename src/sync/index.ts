/**
 * Snapshot sync as a libp2p service, `anchorage/sync`: the provider that serves snapshots, and the session
 * that fetches one. `createReplica` uses it over a log of ours. With a consensus of your own, give it a host
 * of your own and use it beside your other services: `docs/own-consensus.md` says in order what a host does,
 * and `docs/examples/own-consensus.ts` is one that runs.
 *
 * @example
 * ```ts
 * import { createLibp2p } from 'libp2p'
 * import { snapshotSync, type SyncHost } from 'anchorage/sync'
 *
 * const host: SyncHost = myConsensus.syncHost()
 * const node = await createLibp2p({
 *   // transports, encryption, muxers, …
 *   services: { sync: snapshotSync({ host }) },
 * })
 *
 * // When your consensus applies a marker:
 * node.services.sync.captured(anchor, machine.capture(machine.signature), { control, chunkBytes, requesters })
 * // When this replica finds that it lags:
 * await node.services.sync.catchUp({ position, signal })
 * ```
 *
 * @packageDocumentation
 */

import type { SnapshotSyncComponents } from './libp2p.ts'
import {
  checkServiceInit,
  type Libp2pSnapshotSyncInit,
  Service,
  type SnapshotSyncService,
} from './service.ts'

export { AnchorageError } from '../errors.ts'
export { Items } from '../machine/items.ts'
export type { Snapshot } from '../machine/machine.ts'
export * from '../position.ts'
export type { AvailableEvent, ReleaseCause } from '../snapshot/available.ts'
export { itemsOf } from '../snapshot/chunk.ts'
export type { ChunkStore } from '../snapshot/chunk-store.ts'
export { type ChunkCoder, type EncodedChunk, type Encoding, zstdCoder } from '../snapshot/encoding.ts'
export { MalformedChunk, SnapshotTooLarge } from '../snapshot/errors.ts'
export type { ChunkInfo, Manifest } from '../snapshot/manifest.ts'
export type { StateBuilder, StateBuilder as Installing } from '../snapshot/state-builder.ts'
export { type Clock, systemClock, type Timer } from '../time/clock.ts'
export type { DialerComponents } from './dialer.ts'
export * from './errors.ts'
export type { SyncEvent } from './events.ts'
export type {
  CaughtUp,
  ChunkMap,
  ChunkOutcome,
  FetchedChunk,
  FetchProgress,
  MappedChunk,
  MappedProvider,
  SessionEvent,
  SessionPhases,
  SessionState,
} from './fetching/index.ts'
export type { OwnState, SyncHost, SyncMember } from './host.ts'
export type { SnapshotSyncComponents } from './libp2p.ts'
export { PROVIDER_LIMITS_DEFAULT, type ProviderLimits } from './limits.ts'
export type { CapturedInit, SnapshotSyncInit } from './options.ts'
export type {
  Libp2pSnapshotSyncInit,
  SnapshotSyncService,
  SnapshotSyncService as Libp2pSnapshotSync,
  SyncEvents,
} from './service.ts'
export type { ServingEvent } from './serving/index.ts'
export type { CatchUpInit, HeldChunks, Hold } from './snapshot-sync.ts'
export * from './wire/errors.ts'
export type { OfferView } from './wire/messages.ts'

/**
 * The service factory: `services: { sync: snapshotSync({ host }) }`. Throws `RangeError` for an option, or a
 * property of the host, with which nothing could be served or fetched.
 */
export function snapshotSync(
  init: Libp2pSnapshotSyncInit,
): (components: SnapshotSyncComponents) => SnapshotSyncService {
  checkServiceInit(init)
  return (components) => new Service(init, components)
}
