import { setTimeout as delay } from 'node:timers/promises'
import { systemRandom } from '../../random.ts'
import { systemClock } from '../../time/clock.ts'
import { LogBusy } from '../errors.ts'
import { isBusy } from './failure.ts'

/**
 * The longest pause between two tries for a lock, in milliseconds. It is random, so that waiting processes do
 * not collide again.
 */
const RETRY_MAX_MS = 10
/** How long a handle that is being closed waits for a lock, in milliseconds. */
export const CLOSING_PATIENCE_MS = 250

/**
 * Call `attempt` until no lock of the file at `path` is in its way. Throws `LogBusy` once `patienceMs()` have
 * passed since `sinceMs` by the system's clock. Between two tries the thread goes on with its other work.
 */
export async function whenFree<T>(
  path: string,
  attempt: () => T,
  patienceMs: () => number,
  sinceMs: number = systemClock.now(),
): Promise<T> {
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      if (!isBusy(error)) throw error
      const waitedMs = systemClock.now() - sinceMs
      if (waitedMs >= patienceMs()) throw new LogBusy(Math.round(waitedMs), { place: path, cause: error })
    }
    await delay(1 + systemRandom() * (RETRY_MAX_MS - 1))
  }
}
