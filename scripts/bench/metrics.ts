import type { Replica } from '../../src/index.ts'

const known = new WeakSet<object>()

/** Set while processes start whose replicas are observed: they inherit it. */
const OBSERVED = 'BENCH_OBSERVED'

type Observed = Pick<Replica, keyof Replica>

const isWanted = process.env[OBSERVED] !== undefined
const observe = isWanted ? (await import('../../src/observe/index.ts')).observeReplica : undefined
const log = isWanted ? (await import('./logs.ts')).logToNowhere : undefined

/** Start processes whose replicas keep metrics and write logs. */
export async function startObserved<T>(start: () => Promise<T>): Promise<T> {
  process.env[OBSERVED] = '1'
  try {
    return await start()
  } finally {
    delete process.env[OBSERVED]
  }
}

/** Observe a replica, as `anchorage node --http --log-level info` does, where that is wanted. */
export function observed(replica: Observed): void {
  if (known.has(replica)) return
  known.add(replica)
  observe?.(replica)
  log?.(replica)
}
