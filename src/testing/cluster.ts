import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClusterInit as AnyClusterInit, Cluster as ProcessCluster } from '../processes/cluster.ts'
import { ReplicaProcess } from './map-process.ts'

/** Options of `startCluster`. */
export interface ClusterInit extends Partial<AnyClusterInit> {
  /** The number of processes to begin with. Default 3. */
  readonly replicas?: number
  /** The group's name. Default `test`. */
  readonly group?: string
  /**
   * The module that the processes run: one that calls `serveReplica`. Default: a `ReplicatedMap` of JSON
   * values.
   */
  readonly program?: URL
}

const BUILT_IN_PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './map-program.ts' : './map-program.js',
  import.meta.url,
)

/**
 * Start replicas as processes of this machine, on one log: a SQLite file in a temporary folder unless told
 * otherwise. Resolves when all are in sync.
 */
export async function startCluster(init: ClusterInit = {}): Promise<Cluster> {
  const { replicas = 3, ...rest } = init
  return await new Cluster(await mkdtemp(join(tmpdir(), 'anchorage-')), rest).startAll(replicas)
}

/** Processes that share one log. Use `startCluster`, with `await using`: nothing outlives it. */
export class Cluster extends ProcessCluster<ReplicaProcess> {
  /** Use `startCluster`. */
  constructor(dir: string, init: Omit<ClusterInit, 'replicas'>) {
    const { group = 'test', program = BUILT_IN_PROGRAM } = init
    super(dir, { ...init, group, program }, ReplicaProcess)
  }
}
