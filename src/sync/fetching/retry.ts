import { BUSY_JITTER, BUSY_RETRY_MS_MIN } from '../limits.ts'
import type { Busy } from '../wire/errors.ts'

/**
 * When to ask again whoever said Busy: after the time it gave and up to half as much again, so that those who were refused
 * together do not come back together.
 *
 * @param random a number from 0 up to 1
 */
export function busyMs({ retryMs }: Busy, random: () => number): number {
  return Math.max(retryMs, BUSY_RETRY_MS_MIN) * (1 + BUSY_JITTER * random())
}
