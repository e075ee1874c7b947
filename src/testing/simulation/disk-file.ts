import type { Chance } from './chance.ts'

/** A disk writes a sector whole or not at all. Most have sectors of 512 bytes or a multiple of it. */
const SECTOR_BYTES = 512
const PAGE_BYTES = 4_096
const NOTHING = Buffer.alloc(0)

interface Written {
  readonly at: number
  readonly bytes: Buffer
}

/** What befell a file on a bad medium. */
export type Rot = 'a bit' | 'its end' | 'a page'

/** A file on a simulated disk, whatever its name: its bytes, and what of them a loss of power leaves. */
export class DiskFile {
  #flushed: Buffer
  /** It was emptied since it was last flushed. */
  #wasEmptied = false
  /** In order, since it was last flushed or emptied. */
  #unflushed: Written[] = []
  #size: number
  /** Made when it is asked for. Nobody changes it. */
  #bytes: Buffer | undefined

  /** @param flushed its bytes, which nobody changes */
  constructor(flushed: Buffer = NOTHING) {
    this.#flushed = flushed
    this.#size = flushed.length
    this.#bytes = flushed
  }

  get size(): number {
    return this.#size
  }

  /** All of it, not to be changed. */
  get bytes(): Buffer {
    this.#bytes ??= after(this.#wasEmptied ? NOTHING : this.#flushed, this.#unflushed)
    return this.#bytes
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return
    this.#unflushed.push({ at, bytes: Buffer.from(bytes) })
    this.#size = Math.max(this.#size, at + bytes.length)
    this.#bytes = undefined
  }

  empty(): void {
    if (this.#size === 0) return
    this.#unflushed = []
    this.#wasEmptied = true
    this.#size = 0
    this.#bytes = NOTHING
  }

  flush(): void {
    this.#become(this.bytes)
  }

  /**
   * What a loss of power leaves of it: what was flushed, and of each write since then all, nothing, or the
   * sectors that were written first. What was emptied may be full again, and is then as it was flushed.
   * @param keeps the probability that a change was written in time
   */
  afterPowerLoss(chance: Chance, keeps: number): DiskFile {
    if (this.#wasEmptied && !chance.happens(keeps)) return new DiskFile(this.#flushed)
    if (this.#unflushed.length === 0) return new DiskFile(this.bytes)
    const kept = this.#unflushed.flatMap((written) => {
      if (chance.happens(keeps)) return [written]
      const part = firstSectors(written, chance)
      return part.bytes.length > 0 && chance.happens(keeps) ? [part] : []
    })
    return new DiskFile(after(this.#wasEmptied ? NOTHING : this.#flushed, kept))
  }

  /** Something happens to the bytes where they lie. It has at least one. */
  rot(chance: Chance): Rot {
    const bytes = Buffer.from(this.bytes)
    const at = chance.integer(0, bytes.length - 1)
    const rot = chance.weighted<Rot>({ 'a bit': 4, 'its end': 1, 'a page': 1 })
    switch (rot) {
      case 'a bit':
        bytes[at]! ^= 1 << chance.integer(0, 7)
        break
      case 'its end':
        break
      case 'a page': {
        const page = at - (at % PAGE_BYTES)
        bytes.subarray(page, page + PAGE_BYTES).fill(0)
        break
      }
      default:
        rot satisfies never
    }
    this.#become(rot === 'its end' ? bytes.subarray(0, at) : bytes)
    return rot
  }

  #become(bytes: Buffer): void {
    this.#flushed = this.#bytes = bytes
    this.#wasEmptied = false
    this.#unflushed = []
    this.#size = bytes.length
  }
}

/** Where nothing was written, there are zeros. */
function after(before: Buffer, changes: readonly Written[]): Buffer {
  if (changes.length === 0) return before
  const size = changes.reduce((most, { at, bytes }) => Math.max(most, at + bytes.length), before.length)
  const result = Buffer.alloc(size)
  before.copy(result)
  for (const { at, bytes } of changes) bytes.copy(result, at)
  return result
}

/** A part that ends where a sector of the file does. */
function firstSectors({ at, bytes }: Written, chance: Chance): Written {
  const first = Math.ceil(at / SECTOR_BYTES)
  const last = Math.floor((at + bytes.length) / SECTOR_BYTES)
  const end = chance.integer(first, Math.max(first, last)) * SECTOR_BYTES
  return { at, bytes: bytes.subarray(0, end - at) }
}
