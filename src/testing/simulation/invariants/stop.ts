import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { Scene } from '../scene.ts'

/** A replica that was stopped waits for nothing, and nobody has a stream to it. */
export class Stops implements Invariant {
  readonly #scene: Scene

  constructor(scene: Scene) {
    this.#scene = scene
  }

  ended(): void {
    const { nodes, network } = this.#scene
    for (const { running } of nodes) {
      if (running === undefined || !running.isStopped) continue
      const { name, timers } = running.life
      if (timers > 0)
        throw new PromiseBroken('stop leaves nothing', `${name} was stopped and has ${timers} timers`)
    }
    if (network.openStreams > 0)
      throw new PromiseBroken(
        'stop leaves nothing',
        `${network.openStreams} streams are open after all have stopped`,
      )
  }
}
