/**
 * A random number from 0 up to 1. Code that needs chance takes one of these, so that a simulation can repeat
 * it.
 */
export type Random = () => number

/** The machine's own random numbers. */
export const systemRandom: Random = () => Math.random()
