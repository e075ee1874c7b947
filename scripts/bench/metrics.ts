import type { Replica } from '../../src/index.ts'

const known = new WeakSet<object>()

/** Set by `--metrics` and by `--logs`. The processes of a benchmark inherit them. */
const METRICS = 'BENCH_METRICS'
const LOGS = 'BENCH_LOGS'

type Observed = Pick<Replica, keyof Replica>

const observe =
  process.env[METRICS] === undefined ? undefined : (await import('../../src/observe/index.ts')).observeReplica
const log = process.env[LOGS] === undefined ? undefined : (await import('./logs.ts')).logToNowhere

/** Have the processes that begin from now on keep metrics of their replicas. */
export function keepMetrics(): void {
  process.env[METRICS] = '1'
}

/** Have the processes that begin from now on write logs of their replicas. */
export function keepLogs(): void {
  process.env[LOGS] = '1'
}

/** Start processes whose replicas keep metrics and write logs, or none that does. */
export async function startedWith<T>(isObserved: boolean, start: () => Promise<T>): Promise<T> {
  const before = { [METRICS]: process.env[METRICS], [LOGS]: process.env[LOGS] }
  const value = isObserved ? '1' : undefined
  setEnv({ [METRICS]: value, [LOGS]: value })
  try {
    return await start()
  } finally {
    setEnv(before)
  }
}

function setEnv(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

/** Observe a replica, as `anchorage node --http --log-level info` does, as far as that is wanted. */
export function observed(replica: Observed): void {
  if (known.has(replica)) return
  known.add(replica)
  observe?.(replica)
  log?.(replica)
}
