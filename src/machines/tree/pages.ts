/**
 * A buffer in which leaves lie: one of ours, of which pages are taken in turn, or a chunk that was installed.
 * Space in it is never taken twice. So a reader of an older edition finds its pages untouched, and the
 * garbage collector has the buffer once no leaf lies in it any more.
 */
export class Slab {
  readonly bytes: Uint8Array
  /** Where records begin, two bytes each, in pages of this slab. */
  readonly words: Uint16Array
  /** What it takes, in bytes. */
  readonly size: number
  /** The bytes of leaves that the tree has in it. */
  live = 0
  /** Where the next page begins. */
  used = 0

  constructor(bytes: Uint8Array, words: Uint16Array, size: number) {
    this.bytes = bytes
    this.words = words
    this.size = size
  }
}

/** The smallest and the largest slab, in bytes. A small tree takes little; a large one has few slabs. */
const SLAB_BYTES_MIN = 1024
const SLAB_BYTES_MAX = 256 * 1024
/**
 * The leaves of a slab of which less than this part is live are moved. They are, once less than this part of all is
 * live: then there is such a slab, and what is held stays within 1.2 times what is live, and a slab.
 */
const LIVE_ENOUGH = 5 / 6

/** Where the pages of one tree come from, and what of that is live. */
export class Pages {
  #current = slabOf(0)
  /** The bytes of slabs in which something is live. */
  #held = 0
  #live = 0
  #drops = 0

  /** How many times a leaf was dropped. */
  get drops(): number {
    return this.#drops
  }

  /** The bytes of the slabs in which leaves of the tree lie. */
  get held(): number {
    return this.#held
  }

  /** Enough is dead that moving leaves is worth it. */
  get isWasteful(): boolean {
    return this.#live < (this.#held - SLAB_BYTES_MAX) * LIVE_ENOUGH
  }

  /** A slab with a new page of `room` bytes, an even number: the last ones that are `used` in it. */
  take(room: number): Slab {
    // A page that would take much of a slab has its own.
    if (room > SLAB_BYTES_MAX / 4) return this.#page(slabOf(room), room)
    if (this.#current.used + room > this.#current.size) {
      const enough = 2 ** Math.ceil(Math.log2(this.#live + room))
      const next = slabOf(Math.min(SLAB_BYTES_MAX, Math.max(SLAB_BYTES_MIN, enough)))
      if (this.#current.live === 0) this.#held -= this.#current.size
      this.#current = next
      this.#held += next.size
    }
    return this.#page(this.#current, room)
  }

  /** A leaf has come to lie in a slab that was not taken from here. */
  adopt(slab: Slab, bytes: number): void {
    this.#enter(slab, bytes)
  }

  /** A leaf of the tree does not lie there any more. */
  drop(slab: Slab, bytes: number): void {
    this.#drops++
    slab.live -= bytes
    this.#live -= bytes
    if (slab.live === 0 && slab !== this.#current) this.#held -= slab.size
  }

  /** Leaves in it are to be moved. */
  isMostlyDead(slab: Slab): boolean {
    return slab !== this.#current && slab.live < slab.size * LIVE_ENOUGH
  }

  #page(slab: Slab, room: number): Slab {
    slab.used += room
    return this.#enter(slab, room)
  }

  #enter(slab: Slab, bytes: number): Slab {
    if (slab.live === 0 && slab !== this.#current) this.#held += slab.size
    slab.live += bytes
    this.#live += bytes
    return slab
  }
}

function slabOf(size: number): Slab {
  const buffer = new ArrayBuffer(size)
  return new Slab(new Uint8Array(buffer), new Uint16Array(buffer), size)
}
