import { sameBytes } from '../../bytes.ts'
import { CheckpointDamaged } from '../../checkpoint/errors.ts'
import { type CheckpointReader, openCheckpoint, verifiedChunks } from '../../checkpoint/file.ts'
import { fileStorage } from '../../checkpoint/file-storage.ts'
import { decodeGroupState } from '../../group/carried-state.ts'
import type { Position } from '../../position.ts'
import { itemsOf } from '../../snapshot/chunk.ts'
import { type ChunkCoder, type EncodedChunk, zstdCoder } from '../../snapshot/encoding.ts'
import { chunkHash } from '../../snapshot/manifest.ts'

/** What a snapshot in a file is of. */
export interface ImportSource {
  /** The name of the group that it is of. */
  readonly group: string
  /** The signature of the machine whose items they are. */
  readonly signature: string
  /** Its place in that group's log. */
  readonly position: Position
  /** Machine time there, in whole milliseconds. */
  readonly timeMs: number
}

/** Reads the snapshot in a file, and verifies all that it reads. */
export class SourceFile {
  readonly what: ImportSource
  readonly #reader: CheckpointReader
  readonly #coder: ChunkCoder

  constructor(reader: CheckpointReader, coder: ChunkCoder) {
    const { group, signature, position, manifest } = reader
    this.what = { group, signature, position, timeMs: decodeGroupState(manifest.control).timeMs }
    this.#reader = reader
    this.#coder = coder
  }

  get chunks() {
    return this.#reader.manifest.chunks
  }

  /** A chunk as it is encoded. Throws `CheckpointDamaged` for one that is not what the file says. */
  async chunk(index: number): Promise<EncodedChunk> {
    const { path, chunk } = this.#reader
    const { bytes, hash } = this.chunks[index]!
    const encoded = await chunk(index)
    if (sameBytes(chunkHash(await this.#coder.decode(encoded, bytes)), hash)) return encoded
    throw new CheckpointDamaged(path, `the hash of chunk ${index} is wrong`)
  }

  /** The items, in their order. No more than two chunks are in memory. */
  async *items(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const { bytes, info } of verifiedChunks(this.#reader, this.#coder)) {
      signal.throwIfAborted()
      yield* itemsOf(bytes, info.items)
    }
  }
}

/**
 * The items of the snapshot in a file, in the machine's order, as `Installation.add` takes them. They are
 * read as they are asked for, and verified. Throws `CheckpointDamaged`, and `CheckpointMismatch` for a newer
 * format.
 *
 * @example
 * ```ts
 * for await (const item of itemsInFile('backup.checkpoint')) bytes += item.length
 * ```
 */
export async function* itemsInFile(
  file: string,
  { signal = new AbortController().signal }: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array> {
  await using reader = await openCheckpoint(file, fileStorage)
  yield* new SourceFile(reader, zstdCoder).items(signal)
}
