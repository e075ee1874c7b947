import { Refusal } from '../../machine/errors.ts'

/**
 * A list had no item at the index of a write when the write was applied, perhaps because another writer had
 * removed some. Nothing was changed.
 */
export class IndexOutOfRange extends Refusal {
  static override readonly code = 'INDEX_OUT_OF_RANGE'
  override readonly name = 'IndexOutOfRange'
  readonly index: number
  /** The list's length when the write was applied. */
  readonly length: number
  constructor(index: number, length: number) {
    super(
      `index ${index} is out of range: the list had a length of ${length} when the write was applied; read it anew`,
    )
    this.index = index
    this.length = length
  }
}
