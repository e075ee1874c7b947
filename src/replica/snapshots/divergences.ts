import type { Position } from '../../position.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import type { Clock } from '../../time/clock.ts'
import type { KeptState } from '../disk/kept-state.ts'
import { Diverged } from '../errors.ts'
import type { Divergence } from '../events.ts'
import type { Follower } from '../following/follower.ts'
import type { Reporter } from '../reporter.ts'

/**
 * A state that is found wrong this often within ten minutes is not replaced once more: the machine is wrong,
 * and an operator has to look.
 */
const DIVERGENCES_MAX = 3
const DIVERGENCE_WINDOW_MS = 10 * 60_000
/** Anchors that are remembered, so that each is told once: more than are live at a time. */
const ANCHORS_MAX = 64

export interface DivergencesInit {
  /** This replica's PeerId, as text. */
  readonly self: string
  readonly clock: Clock
  readonly follower: Pick<Follower, 'diverged'>
  readonly sync: Pick<SnapshotSync, 'withdraw'>
  /** What the machine keeps by itself. */
  readonly kept?: Pick<KeptState, 'distrust'> | undefined
  readonly reporter: Pick<Reporter, 'emit'>
}

/**
 * Roots that are not the group's. This replica learns of its own in two ways, by its root and by the
 * attestation that it appended, and tells it once.
 */
export class Divergences {
  readonly #init: DivergencesInit
  readonly #told = new Set<number>()
  #atMs: number[] = []

  constructor(init: DivergencesInit) {
    this.#init = init
  }

  /** A replica, perhaps this one, has another root than the group. */
  report(divergence: Divergence): void {
    const { self, reporter } = this.#init
    const { replica, anchor } = divergence
    if (replica !== self || this.#isNews(anchor.index)) reporter.emit('divergence', divergence)
  }

  /**
   * The root that the group sealed is not ours: resign, offer nothing that this machine has made, and replace
   * its state.
   */
  found(anchor: Position, own: Uint8Array, sealed: Uint8Array): void {
    const { self, follower, sync, kept } = this.#init
    this.report({ anchor, replica: self, root: own, sealed })
    kept?.distrust()
    follower.diverged(new Diverged(anchor, own, sealed), { forGood: this.#isOnceTooOften() })
    sync.withdraw()
  }

  #isNews(anchor: number): boolean {
    if (this.#told.has(anchor)) return false
    this.#told.add(anchor)
    if (this.#told.size > ANCHORS_MAX) this.#told.delete(this.#told.values().next().value!)
    return true
  }

  #isOnceTooOften(): boolean {
    const nowMs = this.#init.clock.now()
    this.#atMs = [...this.#atMs.filter((atMs) => atMs > nowMs - DIVERGENCE_WINDOW_MS), nowMs]
    return this.#atMs.length >= DIVERGENCES_MAX
  }
}
