/**
 * Snapshot sync as a libp2p service: the provider that serves snapshots and the session that fetches one.
 *
 * `createReplica` uses it over a log of ours. With a consensus of your own, give it a host of your own and
 * use it beside your other services:
 *
 * @example
 * ```ts
 * import { createLibp2p } from 'libp2p'
 * import { snapshotSync, type SyncHost } from 'anchorage'
 *
 * const host: SyncHost = myConsensus.syncHost()
 * const node = await createLibp2p({
 *   // transports, encryption, muxers, …
 *   services: { sync: snapshotSync({ host }) },
 * })
 *
 * // When your consensus applies a marker:
 * node.services.sync.captured(anchor, machine.capture(), { control, chunkBytes, requesters })
 * // When this replica finds that it lags:
 * await node.services.sync.catchUp({ position, signal })
 * ```
 *
 * @packageDocumentation
 */

import { Libp2pSnapshotSync, type Libp2pSnapshotSyncInit, type SnapshotSyncComponents } from './libp2p.ts'

export type { StateBuilder, StateBuilder as Installing } from '../snapshot/state-builder.ts'
export * from './errors.ts'
export type { CaughtUp, SessionPhases, SessionState } from './fetching/session-state.ts'
export type { SyncHost, SyncMember } from './host.ts'
export type { Libp2pSnapshotSync, Libp2pSnapshotSyncInit, SnapshotSyncComponents } from './libp2p.ts'
export { PROVIDER_LIMITS_DEFAULT, type ProviderLimits } from './limits.ts'
export type { CapturedInit, CatchUpInit, SyncEvent } from './snapshot-sync.ts'
export * from './wire/errors.ts'
export type { OfferView } from './wire/messages.ts'

/** The service factory: `services: { sync: snapshotSync({ host }) }`. */
export function snapshotSync(
  init: Libp2pSnapshotSyncInit,
): (components: SnapshotSyncComponents) => Libp2pSnapshotSync {
  return (components) => new Libp2pSnapshotSync(init, components)
}
