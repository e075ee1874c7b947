import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Random } from '../../random.ts'

/** Random numbers that follow from a seed and a name. */
export interface Chance {
  /** A number from 0 up to 1. */
  readonly next: Random
  /** An integer from `min` to `max`, both included. */
  integer(min: number, max: number): number
  /** True with this probability, from 0 to 1. */
  happens(probability: number): boolean
  /** One of these. Throws `RangeError` for none. */
  pick<T>(from: readonly T[]): T
  /** One of the keys; each weighs as much as its value says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K
  /** Random numbers of their own, for a part: what one part draws does not change what another part draws. */
  fork(name: string): Chance
}

/** Chance for one part of a run. The same seed and name always give the same numbers. */
export function chanceOf(seed: number, name: string): Chance {
  const generator = xoroshiro128plus(mix(seed, name))
  const next = () => ((generator.next() >>> 0) * 2 ** 21 + (generator.next() >>> 11)) / 2 ** 53
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return {
    next,
    integer,
    happens: (probability) => next() < probability,
    pick(from) {
      if (from.length === 0) throw new RangeError('there is nothing to pick from')
      return from[integer(0, from.length - 1)]!
    },
    weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
      const keys = Object.keys(weights) as K[]
      let left = next() * keys.reduce((sum, key) => sum + weights[key], 0)
      const found = keys.find((key) => {
        left -= weights[key]
        return left < 0
      })
      if (found === undefined) throw new RangeError('no weight is above 0')
      return found
    },
    fork: (part) => chanceOf(seed, `${name}/${part}`),
  }
}

/**
 * FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) over the seed and the name, and then the finalizer of
 * MurmurHash3 (A. Appleby): without it, names that differ in their last character alone begin with like
 * numbers.
 */
function mix(seed: number, name: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(`${seed}:${name}`)) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
