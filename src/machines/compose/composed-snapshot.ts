import { SnapshotReleased } from '../../machine/errors.ts'
import type { Snapshot } from '../../machine/machine.ts'
import type { Run, RunGroup } from '../../machine/run.ts'
import { runOf } from '../state-items.ts'
import { BadComposition } from './errors.ts'
import { encodeHeader, type HeaderRuns } from './header.ts'

/** A run that is made of items ends with this many bytes, or this many items: about a leaf of a packed tree. */
const RUN_BYTES = 4096
const RUN_ITEMS = 64

/** A part's snapshot. */
export interface PartSnapshot {
  readonly name: string
  readonly snapshot: Snapshot
}

/** The snapshots of all parts, after a header that says how many items each has. */
export function composedSnapshot(parts: readonly PartSnapshot[], headers: HeaderRuns): Snapshot {
  const isPacked = parts.some(({ snapshot }) => snapshot.runs !== undefined)
  return isPacked ? new PackedSnapshot(parts, headers) : new ItemsSnapshot(parts)
}

class ItemsSnapshot implements Snapshot {
  readonly size: number
  readonly #parts: readonly PartSnapshot[]
  readonly #counts: readonly number[]
  #isReleased = false

  constructor(parts: readonly PartSnapshot[]) {
    this.#parts = parts
    this.#counts = parts.map(countOf)
    this.size = this.#counts.reduce((sum, count) => sum + count, 1)
  }

  items(): Iterable<Uint8Array> {
    return this.#items(this.read())
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    releaseAll(this.#parts)
  }

  /** The parts, as long as they can be read. */
  protected read(): readonly PartSnapshot[] {
    if (this.#isReleased) throw new SnapshotReleased()
    return this.#parts
  }

  protected get counts(): readonly number[] {
    return this.#counts
  }

  *#items(parts: readonly PartSnapshot[]): Generator<Uint8Array, undefined> {
    yield encodeHeader(this.#counts)
    for (const part of parts) {
      let count = 0
      for (const item of part.snapshot.items()) {
        count++
        yield item
      }
      checkCount(part, count)
    }
  }
}

/** Some parts are packed, and are handed out as they stand. What others have is packed as it is read. */
class PackedSnapshot extends ItemsSnapshot {
  readonly #headers: HeaderRuns

  constructor(parts: readonly PartSnapshot[], headers: HeaderRuns) {
    super(parts)
    this.#headers = headers
  }

  runs(): Iterable<Run | RunGroup> {
    return this.#runs(this.read())
  }

  *#runs(parts: readonly PartSnapshot[]): Generator<Run | RunGroup, undefined> {
    yield this.#headers.of(this.counts)
    for (const part of parts) {
      let count = 0
      for (const run of part.snapshot.runs?.() ?? packed(part.snapshot.items())) {
        count += run.length
        yield run
      }
      checkCount(part, count)
    }
  }
}

/** Release every snapshot, also after one that throws. */
export function releaseAll(parts: readonly PartSnapshot[]): void {
  const failures: unknown[] = []
  for (const { snapshot } of parts) {
    try {
      snapshot.release()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/** The items in runs of some KiB. */
function* packed(items: Iterable<Uint8Array>): Generator<Run, undefined> {
  let run: Uint8Array[] = []
  let bytes = 0
  for (const item of items) {
    run.push(new Uint8Array(item))
    bytes += item.length
    if (bytes < RUN_BYTES && run.length < RUN_ITEMS) continue
    yield runOf(run)
    run = []
    bytes = 0
  }
  if (run.length > 0) yield runOf(run)
}

/** The header has the numbers of items, and comes first. */
function countOf({ name, snapshot }: PartSnapshot): number {
  if (snapshot.size !== undefined) return snapshot.size
  throw new BadComposition(
    `the snapshot of ${name} does not know how many items it has; let its size be a number`,
  )
}

function checkCount({ name, snapshot }: PartSnapshot, count: number): void {
  if (count === snapshot.size) return
  throw new BadComposition(
    `the snapshot of ${name} said that it has ${snapshot.size} items, and gave ${count}`,
  )
}
