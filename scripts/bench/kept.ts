import type { Machine } from './machine.ts'
import type { Pair, Result } from './runner.ts'

/** How something was measured, and when. */
export interface Circumstances {
  /** ISO 8601, UTC. */
  readonly date: string
  /** Whether it was measured with `--full`. */
  readonly full: boolean
  readonly scale: number
}

/** JSON has null for a number that is not finite. */
type Written<T> = { readonly [Key in keyof T]: T[Key] extends number ? number | null : T[Key] }

/** A benchmark's outcome with its circumstances. */
export interface Kept extends Written<Result>, Circumstances {
  readonly ratioMin: number | null
  readonly ratioMax: number | null
  /** Null if there is no target. */
  readonly met: boolean | null
  readonly pairs: readonly Written<Pair>[]
}

/** The content of results.json. All other files of its directory are made from it. */
export interface Report {
  readonly machine: Machine
  readonly results: readonly Kept[]
}
