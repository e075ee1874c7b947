import { systemClock } from '../../time/clock.ts'
import type { Leaves } from './leaves.ts'
import type { Path } from './path.ts'

/** The most leaves that one step moves. A write makes one step, and a turn of the event loop several. */
const MOVES_MAX = 8
const STEPS_PER_TURN = 32

/**
 * Gives slabs back of which much is dead, by moving the leaves that are left in them. It walks through the leaves in
 * order, a few with each write, and in turns of the event loop, so that what is dead goes if nobody writes, too.
 */
export class Compaction {
  readonly #path: Path
  readonly #leaves: Leaves
  /** The place at which the walk goes on; undefined while there is none. */
  #place: number | undefined
  /** The pages that had been dropped at the last step. */
  #drops = 0
  /** Turns of the event loop go on with the walk. */
  #isWalking = false
  /** Snapshots that hold pages which the tree has left: moving leaves would give nothing back. */
  #holds = 0

  constructor(path: Path, leaves: Leaves) {
    this.#path = path
    this.#leaves = leaves
  }

  hold(): void {
    this.#holds++
  }

  release(): void {
    this.#holds--
    this.#begin()
  }

  /** The tree was written: move some leaves, if pages were dropped and much of the slabs is dead. */
  step(): void {
    const { drops } = this.#leaves.pages
    if (drops === this.#drops && this.#place === undefined) return
    this.#begin()
    if (this.#place !== undefined && this.#holds === 0) this.#moveSome(this.#place)
    this.#drops = this.#leaves.pages.drops
  }

  /** Much was removed at once: walk from the beginning, if that is worth it. */
  restart(): void {
    this.#place = undefined
    this.#begin()
  }

  /** The tree has other contents. */
  reset(): void {
    this.#place = undefined
    this.#drops = this.#leaves.pages.drops
  }

  #begin(): void {
    if (this.#place !== undefined || this.#holds > 0 || !this.#leaves.pages.isWasteful) return
    this.#place = 0
    if (!this.#isWalking) void this.#walk()
  }

  async #walk(): Promise<void> {
    this.#isWalking = true
    while (this.#place !== undefined && this.#holds === 0) {
      await systemClock.turn()
      for (let n = 0; n < STEPS_PER_TURN && this.#place !== undefined && this.#holds === 0; n++)
        this.#moveSome(this.#place)
    }
    this.#isWalking = false
    if (this.#holds > 0) this.#place = undefined
  }

  /** Move the leaves of one parent, from a place on, that are in slabs which are mostly dead. */
  #moveSome(from: number): void {
    const path = this.#path
    const leaves = this.#leaves
    this.#place = undefined
    if (path.height === 0) return
    const size = path.root.length
    path.seekAt(Math.min(from, size))
    let place = Math.min(from, size) - path.at
    let moves = 0
    for (let i = path.index; i < path.siblings.length && moves < MOVES_MAX; i++) {
      const leaf = path.siblings[i]!
      place += leaf.length
      if (!leaves.pages.isMostlyDead(leaf.slab)) continue
      if (moves++ === 0) path.own()
      const moved = leaves.moved(leaf, leaves.roomFor(leaf.taken, leaf.length))
      // The bytes are the same: so is the version, by which a cut knows them.
      moved.version = leaf.version
      moved.boundaries = leaf.boundaries
      path.parent!.children[i] = moved
    }
    this.#place = place >= size ? undefined : place
  }
}
