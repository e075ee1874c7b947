import type { Replica } from '../replica/replica.ts'

/** What is read of a replica: any `Replica` will do, whatever its machine returns. */
export type ObservableReplica = Pick<
  Replica,
  | 'id'
  | 'group'
  | 'state'
  | 'failure'
  | 'position'
  | 'leader'
  | 'term'
  | 'format'
  | 'members'
  | 'silentMembers'
  | 'offers'
  | 'ttlMs'
  | 'anchors'
  | 'catchUp'
  | 'chunkMap'
  | 'logConnected'
  | 'logHolds'
  | 'lag'
  | 'observe'
>
