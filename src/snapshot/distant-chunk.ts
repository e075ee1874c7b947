import type { Places } from '../machine/machine.ts'
import type { Clock } from '../time/clock.ts'
import { Yielder } from '../time/yielder.ts'
import { ChunkWriter } from './chunk.ts'
import { MalformedChunk } from './errors.ts'
import type { ChunkInfo } from './manifest.ts'

/** A look at the clock costs more than reading an item: so look every 64 of them. */
const ITEMS_PER_LOOK = 64

/**
 * A chunk of a state that may be larger than memory. Only the place of its first item is kept, and the items are
 * read from there whenever the chunk is asked for. It can be read until the snapshot is released.
 */
export class DistantChunk {
  readonly #places: Places
  readonly #place: Uint8Array
  readonly #info: ChunkInfo
  readonly #clock: Clock

  constructor(places: Places, place: Uint8Array, info: ChunkInfo, clock: Clock) {
    this.#places = places
    this.#place = place
    this.#info = info
    this.#clock = clock
  }

  /**
   * The whole chunk, read in slices that leave the event loop to others. Rejects with `MalformedChunk` when the
   * machine reads other items than before, and with what the machine throws.
   */
  async read(): Promise<Uint8Array> {
    const { items, bytes } = this.#info
    const yielder = new Yielder(this.#clock, 'chunk')
    const writer = new ChunkWriter(bytes)
    for (const item of this.#places.from(this.#place)) {
      writer.add(item)
      if (writer.items === items) break
      if (writer.items % ITEMS_PER_LOOK === 0 && yielder.due()) await yielder.rest()
    }
    yielder.pause()
    const read = writer.take()
    if (read.items === items && read.bytes.length === bytes) return read.bytes
    throw new MalformedChunk('the state machine reads a snapshot otherwise than before')
  }
}
