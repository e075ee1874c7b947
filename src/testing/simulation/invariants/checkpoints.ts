import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { SimulatedNode, Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Scene } from '../scene.ts'

/** What damages a disk, or puts another in its place: then a checkpoint may be gone that was written. */
const DAMAGE: readonly Step['do'][] = ['rot', 'disk-lies', 'copy-disk', 'old-backup', 'recreate', 'rewind']

/** Two by default, and one that is being removed. */
const KEPT_MAX = 3

/** A checkpoint that a replica told of is there in its next life, also after a loss of power. */
export class Checkpoints implements Invariant {
  /** The newest that each replica told of, by its identity. */
  readonly #written = new Map<string, number>()
  readonly #isDamaged: boolean

  readonly #scene: Scene

  constructor(scene: Scene) {
    const { plan } = scene
    this.#scene = scene
    this.#isDamaged = plan.steps.some((step) => DAMAGE.includes(step.do))
  }

  told({ name, isDurable, replica }: SimulatedNode, { type, detail }: Told): void {
    if (this.#isDamaged || !isDurable) return
    // A wiped disk gets another identity.
    const id = replica?.id ?? name
    if (type === 'checkpoint' && detail.type === 'written')
      this.#written.set(id, Math.max(this.#written.get(id) ?? 0, detail.position.index))
    if (type !== 'checkpoint' || detail.type !== 'loaded') return
    const written = this.#written.get(id) ?? 0
    if (detail.position.index >= written) return
    throw new PromiseBroken(
      'never prune the only copy',
      `${name} told of a checkpoint of ${written}, and its next life found one of ${detail.position.index}`,
    )
  }

  /** Older ones are removed. */
  idle(): void {
    if (this.#isDamaged) return
    for (const { name, disk } of this.#scene.nodes) {
      const kept = disk.files().filter(({ path }) => path.endsWith('.checkpoint')).length
      if (kept > KEPT_MAX) throw new PromiseBroken('bounded', `${name} keeps ${kept} checkpoints`)
    }
  }
}
