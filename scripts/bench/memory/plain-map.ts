import { keyOf, randomValue } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { settledBytes } from './resident.ts'

/** A process that keeps items in a `Map`, with each value as a `Uint8Array` of its own. */

const map = new Map<string, Uint8Array>()

const methods = {
  /** Resolves with the bytes that `items` items take. */
  async fill(items: number): Promise<number> {
    const emptyBytes = await settledBytes()
    for (let n = 0; n < items; n++) map.set(keyOf(n), new Uint8Array(randomValue()))
    return (await settledBytes()) - emptyBytes
  },
}
export type PlainMap = typeof methods

serveCalls(methods, () => map.clear())
