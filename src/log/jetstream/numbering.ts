import type { LogEntry } from '../log.ts'

/** Consecutive indexes, or sequence numbers, both ends included. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** Which entry a message of the stream is. */
export class Numbering {
  readonly #base: number
  /** Of sequence numbers, in order. */
  readonly #gaps: readonly Range[]

  /**
   * @param base how many of the stream's first sequence numbers are no entries of the log
   * @param gaps the sequence numbers of messages that were deleted before the log began. An entry that does nothing
   *   is in the place of each.
   */
  constructor(base = 0, gaps: readonly Range[] = []) {
    this.#base = base
    this.#gaps = gaps
  }

  indexOf(sequence: number): number {
    return sequence - this.#base
  }

  sequenceOf(index: number): number {
    return index + this.#base
  }

  /** The first gap that ends at `index` or behind it, in indexes. */
  gapFrom(index: number): Range | undefined {
    const sequence = this.sequenceOf(index)
    const gap = this.#gaps.find(({ to }) => to >= sequence)
    return gap && { from: this.indexOf(gap.from), to: this.indexOf(gap.to) }
  }

  /** The gap that ends at `index`, in indexes. */
  gapUpTo(index: number): Range | undefined {
    const gap = this.gapFrom(index)
    return gap?.to === index ? gap : undefined
  }

  /** The entry in the place of a message that was deleted; undefined if there is a message. */
  fillerAt(index: number): LogEntry | undefined {
    const gap = this.gapFrom(index)
    return gap !== undefined && gap.from <= index ? filler(index) : undefined
  }
}

/** Every replica reads the same one, and its epoch is no log's, so it changes nothing. */
export function filler(index: number): LogEntry {
  return {
    index,
    timestampMs: 0,
    author: '',
    id: `deleted.${index}`,
    epoch: '',
    kind: 'command',
    payload: new Uint8Array(0),
  }
}
