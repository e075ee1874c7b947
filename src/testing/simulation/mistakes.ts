import type { SimulatedNode } from './node.ts'
import type { Scene } from './scene.ts'

/** What operators do by mistake, or because they have to. */
export class Mistakes {
  readonly #scene: Scene

  constructor(scene: Scene) {
    this.#scene = scene
  }

  /** An old backup of the log is put back: this many entries are gone. */
  rewind(by: number): void {
    const { log, history } = this.#scene
    const to = Math.max(0, history.newest - by)
    if (to === history.newest) return
    log.rewind(to)
  }

  /** The log is deleted, and made anew. */
  recreate(): void {
    this.#scene.log.recreate()
  }

  /** A disk is put on another machine, too: both have one identity. */
  copyDisk(from: SimulatedNode, to: SimulatedNode): void {
    to.kill()
    to.disk.copyFrom(from.disk)
    to.start()
  }
}
