/** What the processes share: jobs, who works on which, and what came of them. */
import { createReplica, sqliteLog } from 'anchorage'
import { compose, ReplicatedMap, ReplicatedPriorityQueue } from 'anchorage/machines'

export const makeState = () =>
  compose({
    /** What is to be done, by priority. A job stays here until it is done. */
    jobs: new ReplicatedPriorityQueue<number, string, { addedMs: number }>(),
    /** Who works on a job. A claim dies by itself if its worker does not renew it. */
    claims: new ReplicatedMap<string, string>(),
    /** Who did each job, and how long after it was added. */
    results: new ReplicatedMap<string, { by: string; afterMs: number }>(),
  })

export const join = (state: ReturnType<typeof makeState>, dataDir?: string) =>
  createReplica({
    group: 'jobs',
    machine: state,
    log: sqliteLog({ path: 'jobs.db' }), // for several machines: jetstreamLog, or postgresLog
    // Whoever only adds jobs keeps nothing, and leaves at once: it should not lead.
    ...(dataDir === undefined ? { lead: false } : { dataDir }),
  })
