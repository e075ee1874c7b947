import { type ByteString, bytesOf } from '../../machine/byte-string.ts'
import type { QueueCodecs } from './queue-codecs.ts'
import { QueueParts } from './queue-parts.ts'

/** One item of a queue. */
export interface QueueItem<P, K, V> {
  readonly priority: P
  readonly key: K
  readonly value: V
}

/** For all items: their parts are read at once. */
const parts = new QueueParts()

/**
 * An item that is in the queue no more, or was changed since. It is decoded anew each time it is read: most
 * replicas never read what a command takes from the queue.
 */
export class TakenItem<P, K, V> implements QueueItem<P, K, V> {
  readonly #codecs: QueueCodecs<P, K, V>
  readonly #item: ByteString

  /** @param item a copy of the item (queue-parts.ts): as a string, because that is made in a third of the time */
  constructor(codecs: QueueCodecs<P, K, V>, item: ByteString) {
    this.#codecs = codecs
    this.#item = item
  }

  get priority(): P {
    return this.#codecs.priorityIn(this.#parts())
  }

  get key(): K {
    return this.#codecs.keyIn(this.#parts())
  }

  get value(): V {
    return this.#codecs.valueIn(this.#parts())
  }

  toJSON(): QueueItem<P, K, V> {
    const { priority, key, value } = this
    return { priority, key, value }
  }

  #parts(): QueueParts {
    return parts.read(bytesOf(this.#item), 0, this.#item.length)
  }
}
