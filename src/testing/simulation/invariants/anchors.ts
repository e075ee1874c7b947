import { decodeControl } from '../../../group/control.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { RecordedEntry } from '../log.ts'
import type { SimulatedNode, Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Scene } from '../scene.ts'

/** After these, two honest replicas may have different states. */
const PARTING: readonly Step['do'][] = ['rot', 'rewind', 'recreate', 'copy-disk', 'old-backup']

interface Attested {
  readonly root: string
  readonly by: string
}

/** Whoever attests an anchor's root attests the same one, and nobody tells of another. */
export class Anchors implements Invariant {
  readonly #scene: Scene
  /** What was attested first at each anchor. */
  readonly #first = new Map<number, Attested>()

  constructor(scene: Scene) {
    this.#scene = scene
  }

  committed({ kind, payload, life, index }: RecordedEntry): void {
    // What hostile members attest is theirs.
    if (kind !== 'control' || !this.#scene.lives.has(life) || this.#mayPart) return
    const control = decodeControl(payload)
    if (control?.type !== 'attestation') return
    const root = Buffer.from(control.root).toString('hex')
    const first = this.#first.get(control.anchor)
    if (first === undefined) this.#first.set(control.anchor, { root, by: life })
    else if (first.root !== root)
      throw new PromiseBroken(
        'one anchor, one content',
        `entry ${index}: ${life} has root ${root} at ${control.anchor}, and ${first.by} has ${first.root}`,
      )
  }

  told(node: SimulatedNode, { type, detail }: Told): void {
    if ((type !== 'disputed' && type !== 'divergence') || this.#mayPart) return
    throw new PromiseBroken(
      'one anchor, one content',
      `${node.name} tells of a ${type === 'disputed' ? 'dispute' : 'divergence'} at ${detail.anchor.index}`,
    )
  }

  get #mayPart(): boolean {
    return this.#scene.plan.steps.some((step) => PARTING.includes(step.do))
  }
}
