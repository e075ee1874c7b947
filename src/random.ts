/** A number from 0 up to 1. Who needs chance takes one of these, so that a simulation can repeat it. */
export type Random = () => number

/** The machine's. */
export const systemRandom: Random = () => Math.random()
