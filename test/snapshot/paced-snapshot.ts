import type { VirtualClock } from '../../src/time/virtual-clock.ts'
import { SLICE_MS } from '../../src/time/yielder.ts'
import { ItemSnapshot } from './item-snapshot.ts'

/** An item after which a cut looks at the clock. */
export const PACED_ITEM_BYTES = 256 * 1024

/**
 * A snapshot whose items each take a whole slice of the clock to read. A cut of large items rests after each.
 */
export class PacedSnapshot extends ItemSnapshot {
  /** How many items were read. */
  read = 0
  /** Whether an item was read in this very step: the cut rests right after it, and others rest in later ones. */
  fresh = false
  readonly #clock: VirtualClock

  constructor(items: readonly Uint8Array[], clock: VirtualClock) {
    super(items)
    this.#clock = clock
  }

  override *items(): Generator<Uint8Array> {
    for (const item of super.items()) {
      this.#clock.advance(SLICE_MS)
      this.read++
      this.fresh = true
      queueMicrotask(() => {
        this.fresh = false
      })
      yield item
    }
  }
}
