import { createCipheriv } from 'node:crypto'
import type { Installation, Snapshot, StateMachine } from '../../../src/machine/index.ts'

export const ITEM_BYTES = 1_024
const ITEMS_PER_BATCH = 64

/**
 * A state of any size that takes no memory. It has an item for each command, of bytes that cannot be
 * compressed, and makes them when they are read. So a joiner costs little, and one process has room for many.
 */
export class Noise implements StateMachine<void> {
  readonly signature = 'noise/1'
  readonly #itemBytes: number
  #items = 0

  constructor(itemBytes = ITEM_BYTES) {
    this.#itemBytes = itemBytes
  }

  get items(): number {
    return this.#items
  }

  apply(_command: Uint8Array): void {
    this.add(1)
  }

  capture(): Snapshot {
    const size = this.#items
    return { size, items: () => noise(size, this.#itemBytes), release() {} }
  }

  install(): Installation {
    let items = 0
    return {
      add(added) {
        items += added.length
      },
      commit: () => {
        this.#items = items
      },
    }
  }

  protected add(items: number): void {
    this.#items += items
  }
}

/** The key stream of AES-CTR: the same on every replica. */
function* noise(items: number, itemBytes: number): Generator<Uint8Array> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  const zeros = Buffer.alloc(itemBytes * ITEMS_PER_BATCH)
  let batch = Buffer.alloc(0)
  for (let n = 0; n < items; n++) {
    const at = (n % ITEMS_PER_BATCH) * itemBytes
    if (at === 0) batch = cipher.update(zeros)
    yield batch.subarray(at, at + itemBytes)
  }
}
