import { basename } from 'node:path'
import { chunkName, isChunkName } from '../../../checkpoint/chunk-file.ts'
import { chunksNamedIn } from '../../../checkpoint/file.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import { type Running, type SimulatedNode, speaks, type Told } from '../node.ts'
import type { Step } from '../plan.ts'
import type { Scene } from '../scene.ts'

/** What damages a disk, or puts another in its place: then a checkpoint may be gone that was written. */
const DAMAGE: readonly Step['do'][] = ['rot', 'disk-lies', 'copy-disk', 'old-backup', 'recreate', 'rewind']

/** Two by default, and one that is being removed. */
const KEPT_MAX = 3

/** A checkpoint that a replica told of is there in its next life, also after a loss of power. */
export class Checkpoints implements Invariant {
  /** Those that each replica told of, by its identity. */
  readonly #written = new Map<string, Set<number>>()
  readonly #isDamaged: boolean
  /** A chunk that a disk would not remove in three attempts stays until the next checkpoint. */
  readonly #isFailing: boolean

  readonly #scene: Scene

  constructor(scene: Scene) {
    const { plan } = scene
    this.#scene = scene
    this.#isDamaged = plan.steps.some((step) => DAMAGE.includes(step.do))
    this.#isFailing = plan.steps.some((step) => step.do === 'disk-fails')
  }

  told({ name, isDurable, replica, running }: SimulatedNode, { type, detail }: Told): void {
    if (this.#isDamaged || !isDurable) return
    // A wiped disk gets another identity.
    const id = replica?.id ?? name
    const all = this.#written.get(id) ?? new Set()
    if (type === 'checkpoint' && detail.type === 'written')
      this.#written.set(id, all.add(detail.position.index))
    if (type !== 'checkpoint' || detail.type !== 'loaded') return
    // An older version of the program cannot read what a newer one wrote.
    const written = Math.max(0, ...[...all].filter((index) => this.#isRead(index, running)))
    if (detail.position.index >= written) return
    throw new PromiseBroken(
      'never prune the only copy',
      `${name} told of a checkpoint of ${written}, and its next life found one of ${detail.position.index}`,
    )
  }

  /** A process speaks what the group spoke there. */
  #isRead(index: number, running: Running | undefined): boolean {
    const spoken = this.#scene.history.spokenAt(index)
    return running === undefined || spoken === undefined || speaks(running, spoken)
  }

  /** Older ones are removed, and the chunks of what is there are all that is left of others. */
  idle(): void {
    if (this.#isDamaged) return
    for (const { name, disk, replica } of this.#scene.nodes) {
      const paths = disk.files().map(({ path }) => path)
      const kept = paths.filter((path) => path.endsWith('.checkpoint'))
      if (kept.length > KEPT_MAX)
        throw new PromiseBroken('bounded', `${name} keeps ${kept.length} checkpoints`)
      // One that looks for a snapshot keeps what it has fetched so far.
      if (replica?.state !== 'in-sync' || this.#isFailing) continue
      const named = new Set(
        kept.flatMap((path) => chunksNamedIn(Buffer.from(disk.peek(path)!)).map(chunkName)),
      )
      const spare = paths
        .map((path) => basename(path))
        .filter((file) => isChunkName(file) && !named.has(file))
      if (spare.length > 0)
        throw new PromiseBroken('bounded', `${name} keeps ${spare.length} chunks of no checkpoint`)
    }
  }
}
