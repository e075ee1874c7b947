import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { SimulatedNode } from '../node.ts'
import type { Scene } from '../scene.ts'

/** Whoever can be read has the state that the log gives at its position. */
export class StateOfTheLog implements Invariant {
  readonly #scene: Scene
  /** The position at which each process was compared last. */
  readonly #compared = new Map<string, number>()

  constructor(scene: Scene) {
    this.#scene = scene
  }

  stepped(): void {
    for (const node of this.#scene.nodes) this.#look(node)
  }

  #look({ running }: SimulatedNode): void {
    const replica = running?.replica
    if (running === undefined || replica === undefined) return
    const { index } = replica.position
    if (this.#compared.get(running.life.name) === index) return
    try {
      replica.assertReadable()
    } catch {
      return
    }
    this.#compared.set(running.life.name, index)
    const { history } = this.#scene
    const timeMs = history.timeMsAt(index)
    if (replica.timeMs !== timeMs)
      throw new PromiseBroken(
        'any clock',
        `machine time of ${running.life.name} at ${index} is ${replica.timeMs}, not ${timeMs}`,
      )
    const expected = history.digestAt(index)
    const found = history.digestOf(running.machine)
    if (expected !== found)
      throw new PromiseBroken(
        'one anchor, one content',
        `${running.life.name} at ${index} has\n${found}\nnot\n${expected}`,
      )
  }
}
