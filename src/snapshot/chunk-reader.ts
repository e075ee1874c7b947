import type { Places, Snapshot } from '../machine/machine.ts'
import type { Run, RunGroup } from '../machine/run.ts'
import type { Clock } from '../time/clock.ts'
import { BACKGROUND_SLICE_MS, Yielder } from '../time/yielder.ts'
import { ChunkWriter } from './chunk.ts'
import type { ChunkBody, ChunkSink } from './chunk-sink.ts'
import { type CutHistory, type KnownChunk, KnownCut } from './cut-history.ts'
import { DistantChunk } from './distant-chunk.ts'
import type { EncodedChunk } from './encoding.ts'
import { SnapshotTooLarge } from './errors.ts'
import { type ChunkInfo, chunkHash, MANIFEST_CHUNKS_MAX } from './manifest.ts'
import { type FoundChunk, RunCutter } from './run-cutter.ts'

export interface ReadOptions {
  /** The average size of chunks, in bytes, up to 8 MiB. Every replica must use the same. */
  readonly chunkBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
  /** What this replica cut last. Default: all is read and hashed anew. */
  readonly history?: CutHistory | undefined
  /**
   * What `into` is given of a snapshot with `places` are `DistantChunk`s, and nothing of the state stays in
   * memory. Default false: copies of the chunks.
   */
  readonly distant?: boolean
}

/** A look at the clock costs more than many small items. So look every 128 of them, or every 256 KiB. */
const LOOK_COST = 256 * 1024
const ITEM_COST = 2048

/**
 * Read a snapshot's chunks, in slices that leave the event loop to others. The snapshot is not released.
 *
 * @param into takes each chunk as soon as it ends
 */
export async function readChunks(snapshot: Snapshot, into: ChunkSink, options: ReadOptions): Promise<void> {
  const reader = new ChunkReader(into, options)
  await reader.rest()
  const places = options.distant ? snapshot.places : undefined
  if (snapshot.runs === undefined) return await reader.readItems(snapshot.items(), places)
  const cut = await reader.readRuns(snapshot.runs())
  options.history?.finished(cut)
}

class ChunkReader {
  readonly #into: ChunkSink
  readonly #chunkBytes: number
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #yielder: Yielder
  readonly #earlier: KnownCut | undefined
  #sinceLook = 0

  constructor(into: ChunkSink, { chunkBytes, clock, signal, history }: ReadOptions) {
    this.#into = into
    this.#chunkBytes = chunkBytes
    this.#clock = clock
    this.#signal = signal
    this.#yielder = new Yielder(clock, 'cut', BACKGROUND_SLICE_MS)
    this.#earlier = history?.last(chunkBytes)
  }

  /** Leave the event loop to others. Capture is O(1): the work begins in a later turn. */
  async rest(): Promise<void> {
    await this.#yielder.rest()
    this.#signal.throwIfAborted()
  }

  async readItems(items: Iterable<Uint8Array>, places: Places | undefined): Promise<void> {
    const writer = new ChunkWriter(this.#chunkBytes)
    let place = new Uint8Array()
    const finishChunk = () => {
      const { items, bytes } = writer.take()
      const info = { items, bytes: bytes.length, hash: chunkHash(bytes) }
      this.#add(places === undefined ? bytes : new DistantChunk(places, place, info, this.#clock), info)
    }
    for (const item of items) {
      if (places !== undefined && writer.items === 0) place = new Uint8Array(places.of(item))
      writer.add(item)
      if (writer.ended) finishChunk()
      if (this.#due(ITEM_COST + item.length)) await this.rest()
    }
    this.#signal.throwIfAborted()
    if (writer.items > 0) finishChunk()
    this.#yielder.pause()
  }

  /** Returns what a later cut has to know. */
  async readRuns(runs: Iterable<Run | RunGroup>): Promise<KnownCut> {
    const cutter = new RunCutter(this.#chunkBytes, this.#earlier)
    const known: KnownChunk[] = []
    for (const each of runs) {
      const skipped = 'runs' in each ? cutter.skip(each) : undefined
      if (skipped !== undefined) {
        for (const found of skipped) known.push(this.#found(found))
        if (this.#due(ITEM_COST)) await this.rest()
        continue
      }
      for (const run of 'runs' in each ? each.runs : [each]) {
        let cost = ITEM_COST
        if (!cutter.passes(run)) {
          for (const found of cutter.add(run)) known.push(this.#found(found))
          cost += run.end - run.start
        }
        if (this.#due(cost)) await this.rest()
      }
    }
    this.#signal.throwIfAborted()
    const rest = cutter.rest()
    if (rest !== undefined) known.push(this.#found(rest))
    this.#yielder.pause()
    return new KnownCut(this.#chunkBytes, known, cutter.groups, this.#into)
  }

  #found({ slices, known, twin }: FoundChunk): KnownChunk {
    this.#add(slices, known.info, twin === undefined ? undefined : this.#earlier!.smaller(twin))
    return known
  }

  #add(body: ChunkBody, info: ChunkInfo, encoded?: EncodedChunk): void {
    if (this.#into.infos.length === MANIFEST_CHUNKS_MAX) {
      throw new SnapshotTooLarge(
        `more than ${MANIFEST_CHUNKS_MAX} chunks of ${this.#chunkBytes} bytes on average; ` +
          'make chunkBytes larger',
      )
    }
    this.#into.add(body, info, encoded)
  }

  #due(cost: number): boolean {
    this.#sinceLook += cost
    if (this.#sinceLook < LOOK_COST) return false
    this.#sinceLook = 0
    return this.#yielder.due()
  }
}
