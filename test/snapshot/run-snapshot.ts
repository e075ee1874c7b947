import type { Snapshot } from '../../src/machine/machine.ts'
import type { Boundaries, Run, RunGroup } from '../../src/machine/run.ts'

let versions = 0

/** A run that says when it is read. */
export class WatchedRun implements Run {
  readonly start: number
  readonly end: number
  readonly length: number
  boundaries: Boundaries | undefined = undefined
  /** How often its bytes were asked for. */
  reads = 0
  /** How often its version was asked for. */
  looks = 0
  readonly #version = ++versions
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array, start: number, end: number, length: number) {
    this.#bytes = bytes
    this.start = start
    this.end = end
    this.length = length
  }

  /**
   * A run in a buffer of its own.
   *
   * @param before bytes of something else that stand before it. Neither the run nor the view begins where the
   *   buffer does
   */
  static of(items: readonly Uint8Array[], before = 0): WatchedRun {
    const records = recordsOf(items)
    const bytes = new Uint8Array(Buffer.alloc(before * 2 + records.length + 5, 0xa5).buffer, before)
    bytes.set(records, before)
    return new WatchedRun(bytes, before, before + records.length, items.length)
  }

  get version(): number {
    this.looks++
    return this.#version
  }

  get bytes(): Uint8Array {
    this.reads++
    return this.#bytes
  }
}

/** Puts neighbouring runs into groups that mostly stay what they are when some runs change. */
export class Grouping {
  readonly #versions = new Map<string, number>()

  /** @param every one run in so many begins a group, on average */
  of(runs: readonly WatchedRun[], every: number): (Run | RunGroup)[] {
    const parts: WatchedRun[][] = []
    for (const run of runs) {
      if (parts.length === 0 || run.version % every === 0) parts.push([run])
      else parts.at(-1)!.push(run)
    }
    return parts.map((part) =>
      part[0]!.version % 5 === 0 && part.length === 1 ? part[0]! : this.#group(part),
    )
  }

  #group(runs: readonly WatchedRun[]): RunGroup {
    const name = runs.map(({ version }) => version).join()
    const version = this.#versions.get(name) ?? ++versions
    this.#versions.set(name, version)
    return { runs, version, length: runs.reduce((sum, { length }) => sum + length, 0) }
  }
}

/** The items as they stand in a chunk. */
function recordsOf(items: readonly Uint8Array[]): Buffer {
  return Buffer.concat(items.flatMap((item) => [varint(item.length), item]))
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.of(...bytes, rest)
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** Runs of `sizes` items each, over and over, each in a buffer of its own. A size of 0 counts as 1. */
export function runsOf(items: readonly Uint8Array[], sizes: readonly number[]): WatchedRun[] {
  return parted(items, sizes).map((part, n) => WatchedRun.of(part, n % 7))
}

/** The same side by side in one buffer, as in a chunk that was installed. */
export function neighboursOf(items: readonly Uint8Array[], sizes: readonly number[]): WatchedRun[] {
  const bytes = new Uint8Array(recordsOf(items))
  let at = 0
  return parted(items, sizes).map((part) => {
    const start = at
    at += recordsOf(part).length
    return new WatchedRun(bytes, start, at, part.length)
  })
}

function parted(items: readonly Uint8Array[], sizes: readonly number[]): Uint8Array[][] {
  const parts: Uint8Array[][] = []
  for (let at = 0, n = 0; at < items.length; n++) {
    const size = Math.max(1, sizes[n % sizes.length]!)
    parts.push(items.slice(at, at + size))
    at += size
  }
  return parts
}

/** A snapshot of packed items that checks its contract: its runs are read once, and it is released once. */
export class RunSnapshot implements Snapshot {
  readonly size: number
  readonly #runs: readonly (Run | RunGroup)[]
  /** How often `release` was called. */
  released = 0
  /** Reads after the release, and releases during a read. */
  readonly breaches: string[] = []
  #reading = false

  constructor(runs: readonly (Run | RunGroup)[]) {
    this.#runs = runs
    this.size = runs.reduce((sum, { length }) => sum + length, 0)
  }

  items(): Iterable<Uint8Array> {
    throw new Error('it was read item by item')
  }

  *runs(): Generator<Run | RunGroup> {
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
