import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { Scene } from '../scene.ts'

/** Nobody who has not announced itself to the group is told anything of it. */
export class Members implements Invariant {
  readonly #scene: Scene

  constructor(scene: Scene) {
    this.#scene = scene
  }

  stepped(): void {
    const [intruder] = this.#scene.intruders
    if (intruder === undefined) return
    throw new PromiseBroken('only members are served', `${intruder} is no member, and was answered`)
  }
}
