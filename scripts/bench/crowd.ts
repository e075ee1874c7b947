import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { startCluster } from '../../src/testing/index.ts'
import type { Join, Joined } from './crowd/joiners.ts'
import { ITEM_BYTES } from './crowd/noise.ts'
import type { Watched } from './crowd/provider.ts'
import { type Benchmark, shared } from './runner.ts'

const STATE_BYTES = 100 * 1024 * 1024
const SESSIONS = 64
const PROCESSES = 2
/** The lease, in milliseconds. It is long, because this many replicas make many announcements. */
const LEASE_MS = 60_000
const MIB = 1024 * 1024

export interface Crowd extends Watched {
  /** The number of items that each replica ended with. */
  readonly items: readonly number[]
  /** The provider's resident memory with its state, before a snapshot is cut. */
  readonly baselineBytes: number
  /** The provider's resident memory with its state and a cut snapshot, before any replica joins. */
  readonly cutBytes: number
  /** The number of peers to which the provider sent chunks. */
  readonly peers: number
}

/** Have `sessions` replicas, in `processes` processes, join a group of one replica at the same moment. */
export async function crowd(stateBytes: number, sessions: number, processes: number): Promise<Crowd> {
  await using cluster = await startCluster({
    replicas: 1,
    program: new URL('./crowd/provider.ts', import.meta.url),
    options: { volatile: true, leaseMs: LEASE_MS, ttlMs: 60_000 },
  })
  const provider = cluster.replicas[0]!
  const call = <T>(method: string, ...args: unknown[]) => provider.call<T>(method, ...args)
  await call('grow', Math.ceil(stateBytes / ITEM_BYTES))
  await cluster.leader()
  await provider.prune({ keepEntries: 0 })
  const baselineBytes = await call<number>('watch')
  const anchor = await provider.mark()
  await provider.rootAt(anchor)
  await call<Watched>('watched')
  const cutBytes = await call<number>('watch')

  const join: Join = {
    group: cluster.group,
    logPath: cluster.logPath,
    count: sessions / processes,
    leaseMs: LEASE_MS,
  }
  const children = Array.from({ length: processes }, () =>
    fork(new URL('./crowd/joiners.ts', import.meta.url)),
  )
  try {
    const joined = await Promise.all(children.map((child) => ask(child, join)))
    const watched = await call<Watched>('watched')
    const peers = new Set<string>()
    for (const { type, detail } of provider.events) {
      if (type === 'sync' && detail.type === 'served') peers.add(detail.peer)
    }
    return {
      items: joined.flatMap(({ items }) => items),
      baselineBytes,
      cutBytes,
      peers: peers.size,
      ...watched,
    }
  } finally {
    await Promise.all(children.map(end))
  }
}

async function ask(child: ChildProcess, join: Join): Promise<Joined> {
  child.send(join)
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`a process of joiners ended: ${code ?? signal}`)
  })
  const [joined] = (await Promise.race([once(child, 'message'), ended])) as [Joined]
  return joined
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  if (child.connected) child.disconnect()
  await exited
}

const measured = shared((scale) => crowd(Math.ceil(STATE_BYTES * scale), SESSIONS, PROCESSES))

/** What 64 replicas that join at once cost their provider. */
export const crowds: readonly Benchmark[] = [
  {
    name: 'crowd/memory',
    unit: 'MiB',
    baseline: "the provider's resident memory, its snapshot cut, before 64 replicas join",
    target: { valueBelow: 128 },
    async measure(scale, pairs) {
      const { peakBytes, cutBytes } = await measured(scale, pairs)
      return [{ ours: (peakBytes - cutBytes) / MIB, baseline: cutBytes / MIB }]
    },
  },
  {
    name: 'crowd/stretch',
    unit: 'ms',
    baseline: "the event loop's longest delay meanwhile, whatever caused it",
    target: { valueBelow: 50 },
    async measure(scale, pairs) {
      const { longest, delayMs } = await measured(scale, pairs)
      return [{ ours: longest.cpuMs, baseline: delayMs.max }]
    },
  },
]
