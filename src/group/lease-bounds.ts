import { PRESENCE_TTL_MS_MAX } from '../log/limits.ts'

/**
 * A leader announces itself five times within its lease. With a shorter lease, a busy event loop would depose
 * it.
 */
export const LEASE_MS_MIN = 250
/** A lease is also the TTL of an announcement in the presence store, so its limit holds for a lease. */
export const LEASE_MS_MAX = PRESENCE_TTL_MS_MAX
