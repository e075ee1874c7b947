import type { Invariant } from '../invariant.ts'
import type { Scene } from '../scene.ts'
import { StateOfTheLog } from './state-of-the-log.ts'

/** All that is watched in each run. */
export const INVARIANTS: readonly ((scene: Scene) => Invariant)[] = [(scene) => new StateOfTheLog(scene)]
