import type { Invariant } from '../invariant.ts'
import type { Scene } from '../scene.ts'
import { Anchors } from './anchors.ts'
import { Answers } from './answers.ts'
import { Bounds } from './bounds.ts'
import { Checkpoints } from './checkpoints.ts'
import { Members } from './members.ts'
import { MistakesAreTold } from './mistakes.ts'
import { Offers } from './offers.ts'
import { Prunes } from './prunes.ts'
import { SealedInstalls } from './sealed-installs.ts'
import { StateOfTheLog } from './state-of-the-log.ts'
import { Stops } from './stop.ts'
import { TimeToLive } from './ttl.ts'
import { OneVersion } from './versions.ts'
import { Writes } from './writes.ts'

/** All that is watched in each run. */
export const INVARIANTS: readonly ((scene: Scene) => Invariant)[] = [
  (scene) => new StateOfTheLog(scene),
  (scene) => new Members(scene),
  (scene) => new Checkpoints(scene),
  (scene) => new Writes(scene),
  (scene) => new Anchors(scene),
  (scene) => new SealedInstalls(scene),
  (scene) => new Prunes(scene),
  (scene) => new Offers(scene),
  (scene) => new Answers(scene),
  (scene) => new MistakesAreTold(scene),
  (scene) => new TimeToLive(scene),
  (scene) => new Bounds(scene),
  (scene) => new Stops(scene),
  (scene) => new OneVersion(scene),
]
