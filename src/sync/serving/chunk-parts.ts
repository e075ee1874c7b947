import { Uint8ArrayList } from 'uint8arraylist'
import type { Position } from '../../position.ts'
import type { CutSnapshot } from '../../snapshot/cut-snapshot.ts'
import type { Runs } from '../../snapshot/hints.ts'
import type { ChunkInfo } from '../../snapshot/manifest.ts'
import { HINTED_ITEM_BYTES_MIN, REQUEST_CHUNKS_MAX, RUNS_MAX } from '../limits.ts'
import { OutOfRange } from '../wire/errors.ts'
import type { Payload } from '../wire/frames.ts'
import type { ResponseBody } from '../wire/messages.ts'

/** Chunks of one anchor, one after the other. */
export interface ChunkRange {
  readonly anchor: Position
  readonly first: number
  readonly count: number
}

/** What is sent of each chunk of a range: the whole chunk, hints of its items, or some of its items. */
export interface ChunkPart {
  /** The chunk must be decoded to make it. */
  readonly decodes: boolean
  /** Throws `OutOfRange` where there is no such thing. */
  check(chunk: ChunkInfo): void
  make(chunks: CutSnapshot, index: number): Promise<{ body: ResponseBody; payload: Payload }>
}

/** The chunks themselves, as they were encoded for the way. */
export function wholly({ first, count }: ChunkRange): ChunkPart {
  return {
    decodes: false,
    check() {},
    async make(chunks, index) {
      // Encoding goes on in other threads while this chunk is sent.
      if (index + 1 < first + count) chunks.prepare(index + 1)
      const { encoding, parts } = await chunks.parts(index)
      return { body: { type: 'chunk', index, encoding }, payload: new Uint8ArrayList(...parts) }
    },
  }
}

/** Four bytes of each item, by which a joiner finds those that it has already. */
export const HINTS: ChunkPart = {
  decodes: true,
  check: checkHinted,
  make: async (chunks, index) => ({ body: { type: 'hints', index }, payload: await chunks.hints(index) }),
}

/** The items of these runs, which a joiner has not. */
export function itemsIn(runs: Runs): ChunkPart {
  return {
    decodes: true,
    check(chunk) {
      checkHinted(chunk)
      if (runs.length > RUNS_MAX) throw new OutOfRange(`${runs.length} runs of items at once`)
      const end = runs.reduce((sum, run) => sum + run, 0)
      if (end > chunk.items) throw new OutOfRange(`there is no item ${end - 1} among ${chunk.items}`)
    },
    async make(chunks, index) {
      const { encoding, bytes } = await chunks.pick(index, runs)
      return { body: { type: 'items', index, encoding }, payload: bytes }
    },
  }
}

/** A range of one chunk. */
export function only({ anchor, index }: { readonly anchor: Position; readonly index: number }): ChunkRange {
  return { anchor, first: index, count: 1 }
}

/** Throws `OutOfRange` for a range that is not within the chunks, as far as they are cut. */
export function checkRange({ first, count }: ChunkRange, { manifest, infos }: CutSnapshot): void {
  const counts = count > 0 && count <= REQUEST_CHUNKS_MAX
  if (counts && (manifest === undefined || first + count <= infos.length)) return
  throw new OutOfRange(`chunks ${first} to ${first + count - 1} are not within 0 to ${infos.length - 1}`)
}

/** The hints of many small items would be larger than what they spare. */
function checkHinted({ items, bytes }: ChunkInfo): void {
  if (bytes >= items * HINTED_ITEM_BYTES_MIN) return
  throw new OutOfRange(`there are no hints of items of less than ${HINTED_ITEM_BYTES_MIN} bytes on average`)
}
