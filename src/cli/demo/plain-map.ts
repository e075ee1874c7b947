import SortedBTree from 'sorted-btree'
import { byteStringOf } from '../../machine/byte-string.ts'
import { readLength } from './read-length.ts'

export interface PlainReplay {
  readonly entries: number
  readonly items: number
  readonly tookMs: number
}

const SET = 1

/**
 * What a replay costs without Anchorage: commands are decoded by hand, and set in a tree like that of a
 * replica.
 */
export class PlainMap {
  readonly #tree = new SortedBTree.default<string, string>(
    undefined,
    (a, b) => (a < b ? -1 : a === b ? 0 : 1),
    32,
  )
  readonly #beganMs = performance.now()
  #entries = 0

  /** Apply the command that begins at `at` in `bytes`. */
  apply(bytes: Uint8Array, at: number): void {
    if (bytes[at] !== SET) return
    const [keyStart, keyLength] = readLength(bytes, at + 1)
    const [valueStart, valueLength] = readLength(bytes, keyStart + keyLength)
    this.#tree.set(
      byteStringOf(bytes, keyStart, keyStart + keyLength),
      byteStringOf(bytes, valueStart, valueStart + valueLength),
    )
    this.#entries++
  }

  /** Send the result to the parent process. */
  report(): void {
    const tookMs = performance.now() - this.#beganMs
    process.send!({ entries: this.#entries, items: this.#tree.size, tookMs } satisfies PlainReplay)
    process.disconnect()
  }
}
