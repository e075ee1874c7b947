import { setTimeout as delay } from 'node:timers/promises'
import { LogBusy } from '../errors.ts'
import { isBusy } from './file.ts'

/** Between two tries for a lock. Random, so that those who wait do not come back together. */
const RETRY_MAX_MS = 10

/**
 * Call `attempt` until no lock of the file at `path` is in its way; `LogBusy` once that has lasted `patienceMs()` since
 * `sinceMs` (by `performance.now`). Asynchronous between two tries, so that the thread goes on with its other work.
 */
export async function whenFree<T>(
  path: string,
  attempt: () => T,
  patienceMs: () => number,
  sinceMs: number = performance.now(),
): Promise<T> {
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      if (!isBusy(error)) throw error
      const waitedMs = performance.now() - sinceMs
      if (waitedMs >= patienceMs()) throw new LogBusy(Math.round(waitedMs), { place: path })
    }
    await delay(1 + Math.random() * (RETRY_MAX_MS - 1))
  }
}
