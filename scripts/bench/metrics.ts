import type { Replica } from '../../src/index.ts'

const known = new WeakSet<object>()

/** Set by `--metrics`. The processes of a benchmark inherit it. */
const VARIABLE = 'BENCH_METRICS'

const observe =
  process.env[VARIABLE] === undefined
    ? undefined
    : (await import('../../src/observe/index.ts')).observeReplica

/** Have the processes that begin from now on keep metrics of their replicas. */
export function keepMetrics(): void {
  process.env[VARIABLE] = '1'
}

/** Keep metrics of a replica, as `anchorage node --http` does, where that is wanted. */
export function observed(replica: Pick<Replica, keyof Replica>): void {
  if (known.has(replica)) return
  known.add(replica)
  observe?.(replica)
}
