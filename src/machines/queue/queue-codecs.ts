import type { ByteString } from '../../machine/byte-string.ts'
import { type Codec, decodeBytes, encodeWith } from '../../machine/codec.ts'
import { Unencodable } from '../../machine/errors.ts'
import { PRIORITY_BYTES_MAX } from '../limits.ts'
import { bracketEndAt, priorityAt } from './place.ts'
import type { QueueParts } from './queue-parts.ts'

/** How the parts of a queue's items become bytes and back. */
export class QueueCodecs<P, K, V> {
  readonly priorities: Codec<P>
  readonly keys: Codec<K>
  readonly values: Codec<V>

  constructor(priorities: Codec<P>, keys: Codec<K>, values: Codec<V>) {
    this.priorities = priorities
    this.keys = keys
    this.values = values
  }

  /** @throws {Unencodable} when the codec throws, or gives more than `PRIORITY_BYTES_MAX` */
  encodePriority(priority: P): ByteString {
    const encoded = encodeWith(this.priorities, 'priority', priority)
    if (encoded.length <= PRIORITY_BYTES_MAX) return encoded
    const cause = new RangeError(`${encoded.length} bytes are beyond the limit of ${PRIORITY_BYTES_MAX}`)
    throw new Unencodable('priority', this.priorities.name, cause)
  }

  priorityIn(parts: QueueParts): P {
    return this.#decodePriority(parts.bytes, parts.placeStart, parts.bracketEnd)
  }

  /** The priority of a place. */
  priorityOf(place: Uint8Array): P {
    return this.#decodePriority(place, 0, bracketEndAt(place, 0))
  }

  keyIn({ bytes, keyStart, keyEnd }: QueueParts): K {
    return decodeBytes(this.keys, 'key', bytes, keyStart, keyEnd)
  }

  valueIn({ bytes, valueStart, valueEnd }: QueueParts): V {
    return decodeBytes(this.values, 'value', bytes, valueStart, valueEnd)
  }

  #decodePriority(bracketBytes: Uint8Array, from: number, to: number): P {
    const { bytes, start, end } = priorityAt(bracketBytes, from, to)
    return decodeBytes(this.priorities, 'priority', bytes, start, end)
  }
}
