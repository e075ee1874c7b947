import type { SimulatedNode } from './node.ts'
import type { Scene } from './scene.ts'

/** Does what docs/operations.md says about what replicas tell. */
export class Operator {
  readonly #scene: Scene

  constructor(scene: Scene) {
    this.#scene = scene
  }

  /** Start what is down, and replace what told its end. */
  lookAfter(): void {
    for (const node of this.#scene.permanent) {
      const { running } = node
      if (running === undefined) this.#startAgain(node)
      else if (running.isStopped) node.start()
    }
    this.replaceHalted()
  }

  /** Replace what told its end, and could not start. */
  replaceHalted(): void {
    const { nodes, permanent } = this.#scene
    for (const node of nodes) {
      const { running } = node
      if (running?.replica?.state === 'halted' && !running.isStopping) {
        if (permanent.includes(node)) this.#replace(node, running.halted)
        else node.kill()
      } else if (running === undefined && node.newest?.failure !== undefined && permanent.includes(node))
        this.#startAgain(node)
    }
  }

  #startAgain(node: SimulatedNode): void {
    switch (node.newest?.failure?.name) {
      case 'DirectoryOfAnotherLog':
        // There is no other log any more.
        return node.start({ newLog: true })
      // Its key is rotten: the message says to remove it, and the replica becomes a new one.
      case 'DirectoryUnusable':
      case 'IdentityInUse':
        node.wipe()
        return node.start()
      default:
        return node.start()
    }
  }

  #replace(node: SimulatedNode, halted: Error | undefined): void {
    // Of a log that was made anew, the directory tells the next process that it is of another one.
    if (halted?.name === 'EpochChanged') node.kill()
    else node.wipe()
    node.start()
  }
}
