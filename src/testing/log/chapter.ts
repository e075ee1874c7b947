import type { Ability } from './harness.ts'
import type { Scene } from './scene.ts'

/** A part of the contract, with its tests. */
export interface Chapter {
  readonly group: string
  readonly needs?: readonly Ability[]
  /** What each of its tests begins with. */
  before?(scene: Scene): Promise<unknown>
  readonly checks: readonly Check[]
}

export interface Check {
  readonly title: string
  /** What the interface's comments promise. */
  readonly promise: string
  readonly needs?: readonly Ability[]
  /** True: for a stream that others write too. False: for a log of Anchorage's own. Default: for both. */
  readonly messages?: boolean
  run(scene: Scene): Promise<void>
}
