/** What all replicas of these benchmarks have in common. */

export const GROUP = 'bench'
/** Nobody takes office because the machine is busy. */
export const LEASE_MS = 60_000
/** Offers outlive a whole benchmark. */
export const TTL_MS = 600_000
