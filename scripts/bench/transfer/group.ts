/** What all replicas of these benchmarks have in common. */

export const GROUP = 'bench'
/** The lease, in milliseconds: long, so that no replica takes office because the machine is busy. */
export const LEASE_MS = 60_000
/** The TTL of offers, in milliseconds: they outlive a whole benchmark. */
export const TTL_MS = 600_000
