import { setTimeout as delay } from 'node:timers/promises'

/** What a program of this benchmark prints, as one line of JSON. Times are in milliseconds. */
export interface StartFigures {
  readonly importMs: number
  /** Until `createReplica` resolves, or until a bare libp2p node listens. */
  readonly createMs: number
  /** From the start of the process until it is in sync with an empty group, or until a bare node listens. */
  readonly readyMs: number
  /** Resident, when it has been ready and idle for two seconds. */
  readonly idleBytes: number
}

/** How long a program is idle before its memory is read, in milliseconds. Node has then done what it put off. */
const IDLE_MS = 2_000

/** Wait until it is idle, and print what it took. */
export async function tellWhenIdle(times: Omit<StartFigures, 'idleBytes'>): Promise<void> {
  await delay(IDLE_MS)
  const figures: StartFigures = { ...times, idleBytes: process.memoryUsage.rss() }
  process.stdout.write(JSON.stringify(figures))
}
