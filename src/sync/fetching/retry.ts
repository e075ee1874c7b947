import type { Busy } from '../wire/errors.ts'

/**
 * How often a session looks for offers and providers, and how long it leaves a leader alone that named no
 * anchor. It is only what is left where no event wakes it: rare enough to cost a group of hundreds nothing.
 */
export const POLL_INTERVAL_MS = 200

/**
 * The shortest pause after a Busy answer, whatever it asks for: a peer that says 0 is not asked in a loop.
 */
const BUSY_RETRY_MS_MIN = 100

/**
 * Up to this part of the pause is added to it, at random: peers that were refused together come back apart.
 */
const BUSY_JITTER = 0.5

/**
 * How long to leave a peer alone that said Busy: the time it gave, and up to half as much again.
 *
 * @param random a number from 0 up to 1
 */
export function busyMs({ retryMs }: Busy, random: () => number): number {
  return Math.max(retryMs, BUSY_RETRY_MS_MIN) * (1 + BUSY_JITTER * random())
}
