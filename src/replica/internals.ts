import type { PrivateKey } from '@libp2p/interface'
import type { Storage } from '../checkpoint/storage.ts'
import type { ChunkCoder } from '../snapshot/encoding.ts'
import type { ReplicaNetwork } from './node/network.ts'

/**
 * What a replica stands on, for a group that runs in one process from a seed. Not part of the public API:
 * `createReplica` always uses the defaults.
 *
 * @internal
 */
export interface ReplicaInternals {
  /** The network of the replica that has this key. Default: a libp2p node. */
  readonly network?: (key: PrivateKey) => ReplicaNetwork
  /** Where the data directory is kept, and exports are written. Default: the machine's file system. */
  readonly storage?: Storage
  /** How chunks are encoded. Default: zstd, in threads. */
  readonly coder?: ChunkCoder
  /** The newest format of the group's state that it speaks, as an older version does. Default: the newest. */
  readonly format?: number
  /** Names this process in announcements; no two of a group may have the same. Default: by chance. */
  readonly processName?: string
}
