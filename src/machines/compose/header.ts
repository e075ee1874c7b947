import { ByteReader } from '../../machine/byte-reader.ts'
import { ByteWriter } from '../../machine/byte-writer.ts'
import { MalformedItem } from '../../machine/errors.ts'
import type { Run } from '../../machine/run.ts'
import { runOf } from '../state-items.ts'

/** The first item of a snapshot of a composition: how many items each part has, in uvarints. */
export function encodeHeader(counts: readonly number[]): Uint8Array {
  const writer = new ByteWriter()
  for (const count of counts) writer.uvarint(count)
  return writer.view()
}

/** @throws {MalformedItem} for anything but the header of so many parts */
export function decodeHeader(bytes: Uint8Array, parts: number): readonly number[] {
  const reader = new ByteReader(bytes, MalformedItem)
  const counts = Array.from({ length: parts }, () => reader.uvarint())
  reader.end()
  return counts
}

/** Makes the runs of headers. As long as the counts stay what they are, so does the run, and what is cut of it. */
export class HeaderRuns {
  #last: { readonly counts: readonly number[]; readonly run: Run } | undefined

  of(counts: readonly number[]): Run {
    const last = this.#last
    if (last !== undefined && counts.every((count, i) => count === last.counts[i])) return last.run
    const run = runOf([encodeHeader(counts)])
    this.#last = { counts, run }
    return run
  }
}
