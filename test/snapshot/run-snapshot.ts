import type { Snapshot } from '../../src/machine/machine.ts'
import type { Boundaries, Run } from '../../src/machine/run.ts'

let versions = 0

/** A run that says when it is read. */
export class WatchedRun implements Run {
  readonly start: number
  readonly end: number
  readonly length: number
  readonly version = ++versions
  boundaries: Boundaries | undefined = undefined
  /** How often its bytes were asked for. */
  reads = 0
  readonly #bytes: Uint8Array

  /** @param before bytes of something else that stand before it in the same buffer */
  constructor(items: readonly Uint8Array[], before = 0) {
    const bytes = Buffer.concat(items.flatMap((item) => [varint(item.length), item]))
    // Neither the run nor its view begins where the buffer does.
    this.#bytes = new Uint8Array(Buffer.alloc(before * 2 + bytes.length + 5, 0xa5).buffer, before)
    this.#bytes.set(bytes, before)
    this.start = before
    this.end = before + bytes.length
    this.length = items.length
  }

  get bytes(): Uint8Array {
    this.reads++
    return this.#bytes
  }

  /** What stands there is something else from now on, as in a page that is used again. */
  scribble(): void {
    this.#bytes.fill(0xff)
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.of(...bytes, rest)
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** Runs of `sizes` items each, over and over. A size of 0 is left out. */
export function runsOf(items: readonly Uint8Array[], sizes: readonly number[]): WatchedRun[] {
  const runs: WatchedRun[] = []
  for (let at = 0, n = 0; at < items.length; n++) {
    const size = Math.max(1, sizes[n % sizes.length]!)
    runs.push(new WatchedRun(items.slice(at, at + size), n % 7))
    at += size
  }
  return runs
}

/** A snapshot of packed items that checks its contract: its runs are read once, and it is released once. */
export class RunSnapshot implements Snapshot {
  readonly size: number
  readonly #runs: readonly WatchedRun[]
  /** How often `release` was called. */
  released = 0
  /** Reads after the release, and releases during a read. */
  readonly breaches: string[] = []
  #reading = false

  constructor(runs: readonly WatchedRun[]) {
    this.#runs = runs
    this.size = runs.reduce((sum, { length }) => sum + length, 0)
  }

  items(): Iterable<Uint8Array> {
    throw new Error('it was read item by item')
  }

  *runs(): Generator<Run> {
    if (this.released > 0) this.breaches.push('read after its release')
    this.#reading = true
    try {
      yield* this.#runs
    } finally {
      this.#reading = false
    }
  }

  release(): void {
    this.released++
    if (this.#reading) this.breaches.push('released while it was read')
  }
}
