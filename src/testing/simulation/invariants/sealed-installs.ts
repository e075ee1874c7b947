import type { Position } from '../../../position.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { SimulatedNode, Told } from '../node.ts'
import type { Scene } from '../scene.ts'

/** What a replica installs, and what it tells was sealed, is what the majority of the electorate attested. */
export class SealedInstalls implements Invariant {
  readonly #scene: Scene
  /** What was found wrong once a root was known. It is thrown after that. */
  #broken: PromiseBroken | undefined

  constructor(scene: Scene) {
    this.#scene = scene
  }

  told(node: SimulatedNode, { type, detail }: Told): void {
    if (type === 'sealed') this.#check(node, detail.anchor, 'tells of the seal', hex(detail.root))
    else if (type === 'caught-up') this.#check(node, detail.anchor, 'caught up')
    else if (type === 'sync' && detail.type === 'session' && detail.state.status === 'done') {
      const { anchor } = detail.state
      this.#check(node, anchor, 'has installed what it fetched')
      this.#compareWhenCut(node, anchor)
    }
  }

  stepped(): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  #check({ name }: SimulatedNode, anchor: Position, what: string, root?: string): void {
    if (!this.#isOfThisLog(anchor)) return
    const facts = this.#scene.history.group.anchors.get(anchor.index)
    if (facts === undefined) throw broken(`${name} ${what} at ${anchor.index}, where no anchor is`)
    const { seal, electorate, attested } = facts
    if (seal === undefined)
      throw broken(
        `${name} ${what} at ${anchor.index}, for which ${attested.length} of ${electorate.length} have a root`,
      )
    if (root !== undefined && root !== seal.root)
      throw broken(`${name} ${what} at ${anchor.index}: ${root}, but ${seal.root} was sealed`)
  }

  /** A replica captures what it installed, and so tells its root a while later. */
  #compareWhenCut(node: SimulatedNode, anchor: Position): void {
    node.replica?.rootAt(anchor).then(
      (root) => {
        try {
          this.#check(node, anchor, 'has installed the root', hex(root))
        } catch (error) {
          this.#broken ??= error as PromiseBroken
        }
      },
      () => {
        // It was released before it was cut, or replaced.
      },
    )
  }

  /** What was told of a log that was put back, or made anew, cannot be looked up. */
  #isOfThisLog({ epoch }: Position): boolean {
    const { log } = this.#scene
    return epoch === log.epoch && log.record.rewinds.length === 0
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('nothing unverified', message)
}
