import type { Snapshot } from '../../src/machine/machine.ts'

/** A snapshot of given items that checks its contract: read once, released once, and not read after that. */
export class ItemSnapshot implements Snapshot {
  readonly size: number
  readonly #items: readonly Uint8Array[]
  /** How often `release` was called. */
  released = 0
  /** Reads after the release, and releases during a read. */
  readonly breaches: string[] = []
  #reading = false

  constructor(items: readonly Uint8Array[]) {
    this.#items = items
    this.size = items.length
  }

  *items(): Generator<Uint8Array> {
    if (this.released > 0) this.breaches.push('read after its release')
    this.#reading = true
    try {
      yield* this.#items
    } finally {
      this.#reading = false
    }
  }

  release(): void {
    this.released++
    if (this.#reading) this.breaches.push('released while it was read')
  }
}

/** `count` items of `bytes` bytes each. They are distinct if `bytes` bytes can hold their number. */
export function numberedItems(count: number, bytes = 8): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => Buffer.from(String(n).padStart(bytes, '0').slice(-bytes)))
}
