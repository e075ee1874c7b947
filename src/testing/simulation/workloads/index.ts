import type { Workload } from '../workload.ts'
import { composeWorkload } from './compose.ts'
import { countersWorkload } from './counters.ts'
import { listWorkload } from './list.ts'
import { chunksWorkload, floodWorkload, mapWorkload, shortWorkload } from './map.ts'
import { onceWorkload } from './once.ts'
import { pagesWorkload } from './pages.ts'
import { paymentsWorkload } from './payments.ts'
import { queueWorkload } from './queue.ts'
import { registerWorkload } from './register.ts'
import { setWorkload } from './set.ts'
import { versionsWorkload } from './versions.ts'

/** The workloads that come with the simulator, by name. */
export const WORKLOADS: Readonly<Record<string, Workload>> = Object.fromEntries(
  (
    [
      mapWorkload,
      countersWorkload,
      chunksWorkload,
      floodWorkload,
      pagesWorkload,
      shortWorkload,
      listWorkload,
      setWorkload,
      registerWorkload,
      onceWorkload,
      composeWorkload,
      queueWorkload,
      versionsWorkload,
      paymentsWorkload,
    ] as readonly Workload[]
  ).map((workload) => [workload.name, workload]),
)
