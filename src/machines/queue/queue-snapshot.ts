import { ByteWriter } from '../../machine/byte-writer.ts'
import type { Snapshot } from '../../machine/machine.ts'
import type { Run, RunGroup } from '../../machine/run.ts'
import type { ExpiringItems } from '../expiring-items.ts'
import { ItemParts } from '../item-parts.ts'
import { runOf, TreeSnapshot } from '../state-items.ts'
import type { PackedTree } from '../tree/packed-tree.ts'

/**
 * A queue's snapshot: one item with the number of living items as a uvarint; those items in the order of the queue
 * (queue-parts.ts); and for each key, in byte order, an item with its place (expiring-items.ts). So whoever installs
 * it takes both trees as they stand: a million items in 0.18 s. Without the places there would be a fifth less bytes,
 * and the keys would be sorted: 2.6 s.
 */
export class QueueSnapshot implements Snapshot {
  readonly size: number
  readonly #head: Uint8Array
  readonly #order: TreeSnapshot
  readonly #index: Snapshot

  /** @param order captured for this snapshot */
  constructor(order: PackedTree, index: ExpiringItems) {
    const { size, timeMs } = index
    const parts = new ItemParts()
    this.#order = new TreeSnapshot(order, {
      count: order.size - size,
      is: (bytes, start, end) => parts.read(bytes, start, end).deadlineMs <= timeMs,
    })
    this.#index = index.capture()
    this.#head = headOf(size)
    this.size = 1 + 2 * size
  }

  items(): Iterable<Uint8Array> {
    return joined([this.#head], this.#order.items(), this.#index.items())
  }

  runs(): Iterable<Run | RunGroup> {
    return joined<Run | RunGroup>([runOf([this.#head])], this.#order.runs(), this.#index.runs!())
  }

  release(): void {
    this.#order.release()
    this.#index.release()
  }
}

function* joined<T>(...parts: readonly Iterable<T>[]): Generator<T, undefined> {
  for (const part of parts) yield* part
}

function headOf(size: number): Uint8Array {
  const writer = new ByteWriter()
  writer.uvarint(size)
  return writer.view()
}
