import type { Snapshot } from '../../../src/machine/index.ts'
import { CHUNK_BYTES_DEFAULT, cut } from '../../../src/snapshot/cut.ts'
import { CutHistory } from '../../../src/snapshot/cut-history.ts'
import { CutSnapshot } from '../../../src/snapshot/cut-snapshot.ts'
import { zstdCoder } from '../../../src/snapshot/encoding.ts'
import { systemClock } from '../../../src/time/clock.ts'

/** Cuts one snapshot after the other as a replica does, with what it remembers of the last one. */
export class Cutter {
  readonly #history = new CutHistory()

  /** The result keeps the snapshot, until it is released itself. */
  async cut(snapshot: Snapshot): Promise<CutSnapshot> {
    const into = new CutSnapshot(zstdCoder)
    await cut(snapshot, into, {
      control: new Uint8Array(),
      chunkBytes: CHUNK_BYTES_DEFAULT,
      clock: systemClock,
      history: this.#history,
      signal: new AbortController().signal,
    })
    return into
  }
}
