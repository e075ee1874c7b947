import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import type { SyncNetwork } from '../../sync/wire/peers.ts'

/** How a replica reaches the others, and they reach it. `node.ts` has the default, a libp2p node. */
export interface ReplicaNetwork extends SyncNetwork {
  /** Multiaddrs that others dial. Empty before the start. */
  readonly addresses: readonly string[]
  /** Names of the network keys that it accepts, the one first that it prefers. None: it has no such keys. */
  readonly networkKeys?: readonly string[]
  /** Listen, and have `sync` serve the streams that peers open. Rejects with `ListenFailed`. */
  start(sync: Pick<SnapshotSync, 'serve'>): Promise<void>
  /** End all dials first, then every stream and listener. Does nothing before the start. */
  stop(): Promise<void>
}
