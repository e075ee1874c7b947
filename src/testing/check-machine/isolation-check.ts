import { sameBytes } from '../../bytes.ts'
import type { Snapshot } from '../../machine/machine.ts'
import { type Run, type RunGroup, singleRuns } from '../../machine/run.ts'
import type { Bench, Reference } from './bench.ts'
import { MachineFault } from './machine-fault.ts'
import { placeAfter } from './reference-run.ts'
import { compareItems, compareStates, TIMES } from './state.ts'
import type { Subject } from './subject.ts'

/** At how many places snapshots are captured that are read when all commands are applied. */
const PLACES = 8

/** Snapshots of one state, which later commands must not change. */
interface Captured {
  readonly place: number
  /** Not read yet. */
  readonly unread: Snapshot
  /** Read up to its middle. */
  readonly halfRead: HalfRead
  /** Runs that were read, and what was in them. */
  readonly runs: KeptRuns | undefined
}

/** A snapshot stays as it was captured while commands are applied, however much of it was read by then. */
export async function checkIsolation(bench: Bench, { states }: Reference): Promise<void> {
  const { script } = bench
  const subject = await bench.subject('isolation')
  const captured: Captured[] = []
  let from = 0
  for (const place of script.some(PLACES)) {
    for (const step of script.between(from, place)) subject.apply(step)
    captured.push(capture(subject, place))
    from = place
  }
  const what = 'a snapshot that was read after later commands is not what was captured'
  for (const { place, unread, halfRead } of captured) {
    const { items } = states.get(place)!
    const seen = placeAfter(place)
    compareItems('isolation', seen, what, items, subject.read(unread, seen), TIMES)
    compareItems('isolation', seen, what, items, halfRead.rest(), TIMES)
  }
  for (const { place, unread, halfRead, runs } of captured) {
    subject.release(unread, placeAfter(place))
    subject.release(halfRead.snapshot, placeAfter(place))
    runs?.assertUnchanged()
  }
  const seen = placeAfter(script.length)
  const now = await subject.state(seen)
  const late = 'after snapshots were captured and released, the state differs'
  compareStates('isolation', seen, late, states.get(script.length)!, now)
  for (const { runs } of captured) runs?.assertUnchanged()
}

function capture(subject: Subject, place: number): Captured {
  const seen = placeAfter(place)
  // One that is never read must not take anything with it.
  subject.release(subject.capture(seen), seen)
  const unread = subject.capture(seen)
  const halfRead = new HalfRead(subject.capture(seen))
  const ofRuns = subject.capture(seen)
  const runs = ofRuns.runs && new KeptRuns(ofRuns.runs(), place)
  subject.release(ofRuns, seen)
  return { place, unread, halfRead, runs }
}

/** The first half of a snapshot's items. */
class HalfRead {
  readonly snapshot: Snapshot
  readonly #reading: Iterator<Uint8Array>
  readonly #items: Uint8Array[] = []

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot
    this.#reading = snapshot.items()[Symbol.iterator]()
    const half = Math.ceil((snapshot.size ?? 2) / 2)
    while (this.#items.length < half && this.#next());
  }

  /** All its items, with those that are read now. */
  rest(): readonly Uint8Array[] {
    while (this.#next());
    return this.#items
  }

  #next(): boolean {
    const { done, value } = this.#reading.next()
    if (done) return false
    this.#items.push(Uint8Array.from(value))
    return true
  }
}

/** Runs as they are in memory, and copies of them: what was read is read again, even after the release. */
class KeptRuns {
  readonly #place: number
  readonly #kept: readonly { readonly run: Run; readonly copy: Uint8Array }[]

  constructor(runs: Iterable<Run | RunGroup>, place: number) {
    this.#place = place
    this.#kept = Array.from(singleRuns(runs), (run) => ({ run, copy: Uint8Array.from(bytesOf(run)) }))
  }

  assertUnchanged(): void {
    for (const { run, copy } of this.#kept) {
      if (sameBytes(bytesOf(run), copy)) continue
      const what = `the bytes of a run changed after it was read (version ${run.version})`
      throw new MachineFault('isolation', what, placeAfter(this.#place))
    }
  }
}

function bytesOf({ bytes, start, end }: Run): Uint8Array {
  return bytes.subarray(start, end)
}
