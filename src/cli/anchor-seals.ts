import { decodeControl } from '../group/control.ts'
import { Seal } from '../group/seal.ts'
import { LogTruncated } from '../log/errors.ts'
import type { Log } from '../log/log.ts'

/** What the log says of an anchor. */
export type AnchorSeal =
  /** The log was not read that far, or does not hold its marker any more. */
  | { readonly state: 'unknown' }
  /** `silent` are the electors that have not attested yet. */
  | { readonly state: 'open' | 'disputed'; readonly silent: readonly string[] }
  | { readonly state: 'sealed'; readonly root: Uint8Array; readonly silent: readonly string[] }

/** Anchors that are remembered: all members together rarely offer more than three. */
const ANCHORS_MAX = 256

/** Reads off the log what became of anchors: each entry once, however often it looks. */
export class AnchorSeals {
  readonly #log: Pick<Log, 'bounds' | 'read' | 'epoch'>
  readonly #seals = new Map<number, Seal | Uint8Array>()
  /** Reading began with the entry at this index. */
  #began = Number.POSITIVE_INFINITY
  #read = 0
  #isComplete = false

  constructor(log: Pick<Log, 'bounds' | 'read' | 'epoch'>) {
    this.#log = log
  }

  /** Read from the oldest of these anchors to the log's end, or as far as it goes before `late` aborts. */
  async look(anchors: readonly number[], late: AbortSignal): Promise<void> {
    if (anchors.length === 0) return
    this.#isComplete = false
    try {
      const { first } = await this.#log.bounds({ signal: late })
      const oldest = Math.max(first, Math.min(...anchors))
      // Markers that no member offers yet are remembered too: an announcement comes after its marker.
      if (oldest < this.#began || this.#read + 1 < first) this.#begin(oldest)
      for await (const { entries } of this.#log.read({ index: this.#read }, { signal: late })) {
        for (const { index, kind, epoch, author, payload } of entries) {
          if (kind === 'control' && epoch === this.#log.epoch) this.#take(index, author, payload)
          this.#read = index
        }
      }
      this.#isComplete = !late.aborted
    } catch (error) {
      // Pruned meanwhile: the next look begins at what is left.
      if (!late.aborted && !(error instanceof LogTruncated)) throw error
    }
  }

  of(anchor: number): AnchorSeal {
    const seal = this.#seals.get(anchor)
    if (seal === undefined) return { state: 'unknown' }
    if (seal instanceof Uint8Array) return { state: 'sealed', root: seal, silent: [] }
    const { state, root, silent } = seal
    if (root !== undefined) return { state: 'sealed', root, silent }
    if (state === 'disputed' || this.#isComplete)
      return { state: state === 'disputed' ? 'disputed' : 'open', silent }
    return { state: 'unknown' }
  }

  #begin(index: number): void {
    this.#seals.clear()
    this.#began = index
    this.#read = index - 1
  }

  #take(index: number, author: string, payload: Uint8Array): void {
    const control = decodeControl(payload)
    if (control?.type === 'marker') this.#remember(index, new Seal(control.electorate))
    // The snapshot that the log begins with: nobody has to attest it.
    if (control?.type === 'genesis' && index === 1) this.#remember(index, control.root)
    if (control?.type !== 'attestation') return
    const seal = this.#seals.get(control.anchor)
    if (seal instanceof Seal) seal.attest(author, control.root)
  }

  #remember(anchor: number, seal: Seal | Uint8Array): void {
    this.#seals.set(anchor, seal)
    for (const oldest of this.#seals.keys()) {
      if (this.#seals.size <= ANCHORS_MAX) break
      this.#seals.delete(oldest)
    }
  }
}
