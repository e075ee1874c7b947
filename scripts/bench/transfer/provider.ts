import type { TransportManager } from '@libp2p/interface-internal'
import { createReplica, type Position, type Replica, sqliteLog } from '../../../src/index.ts'
import { totalBytes } from '../../../src/snapshot/manifest.ts'
import { serveCalls } from '../child.ts'
import { observed } from '../metrics.ts'
import { collectGarbage } from '../runner.ts'
import { GROUP, LEASE_MS, TTL_MS } from './group.ts'
import { makeState, type State, type StateKind } from './states.ts'

/** A process with a replica that serves. Its parent starts and stops the replica. */

export interface Serve {
  readonly logPath: string
  readonly state: StateKind
  /** The multiaddr to announce. Default: the one that it listens on. */
  readonly announce?: string
  /** Default true. */
  readonly lead?: boolean
}

/** What happened since `watch` was called. */
export interface Served {
  readonly cpuMs: number
  /** How many snapshots were captured, and how many were cut to their end. */
  readonly captured: number
  readonly cut: number
}

let running: { readonly replica: Replica; readonly state: State } | undefined
let sinceCpu = process.cpuUsage()
let counts = { captured: 0, cut: 0 }
let cutBytes = 0

const methods = {
  /** Resolves once the replica is in sync, with the port it listens on. */
  async start({ logPath, state: kind, announce, lead = true }: Serve): Promise<number> {
    let transports: TransportManager | undefined
    const state = makeState(kind)
    const replica = await createReplica({
      group: GROUP,
      machine: state.machine,
      log: sqliteLog({ path: logPath }),
      lead,
      leaseMs: LEASE_MS,
      ttlMs: TTL_MS,
      snapshotAfter: Number.POSITIVE_INFINITY,
      libp2p: {
        ...(announce !== undefined && { addresses: { announce: [announce] } }),
        services: {
          listening: (components: { readonly transportManager: TransportManager }) => {
            transports = components.transportManager
            return {}
          },
        },
      },
    })
    observed(replica)
    running = { replica, state }
    replica.addEventListener('sync', ({ detail }) => {
      if (detail.type === 'captured') counts.captured++
      if (detail.type !== 'cut') return
      counts.cut++
      cutBytes = totalBytes(detail.manifest)
    })
    await replica.inSync()
    await replica.barrier()
    const tcp = transports!
      .getAddrs()[0]!
      .getComponents()
      .find(({ name }) => name === 'tcp')
    return Number(tcp!.value)
  },
  /** Write about `bytes` bytes of items. */
  async grow(bytes: number): Promise<void> {
    await running!.state.grow(running!.replica, bytes)
  },
  size: (): number => running!.state.size(),
  /** Have the group capture a snapshot. */
  mark: (): Promise<Position> => running!.replica.mark(),
  /** Resolves with the bytes of the chunks when this provider has cut the snapshot of an anchor. */
  async cut(anchor: Position): Promise<number> {
    await running!.replica.rootAt(anchor)
    return cutBytes
  },
  /** Begin to count. */
  watch(): void {
    collectGarbage({ type: 'major' })
    counts = { captured: 0, cut: 0 }
    sinceCpu = process.cpuUsage()
  },
  watched(): Served {
    const { user, system } = process.cpuUsage(sinceCpu)
    return { ...counts, cpuMs: (user + system) / 1_000 }
  },
  stop,
}

async function stop(): Promise<void> {
  const replica = running?.replica
  running = undefined
  await replica?.stop()
}

serveCalls(methods, stop)

export type Provider = typeof methods
