import type { Storage } from '../checkpoint/storage.ts'

/**
 * What a replica stands on, for a group that runs in one process from a seed. Not part of the public API:
 * `createReplica` always uses the defaults.
 *
 * @internal
 */
export interface ReplicaInternals {
  /** Where the data directory is kept, and exports are written. Default: the machine's file system. */
  readonly storage?: Storage
}
