import { join } from 'node:path'
import { chunksBeside } from '../../checkpoint/chunk-file.ts'
import { ChunkFiles, type ChunkHold } from '../../checkpoint/chunk-files.ts'
import type { DataDirectory } from '../../checkpoint/data-directory.ts'
import { DropQueue } from '../../leases/drop-queue.ts'
import { type EncodedChunk, zstdCoder } from '../../snapshot/encoding.ts'
import type { ChunkInfo } from '../../snapshot/manifest.ts'
import type { Clock } from '../../time/clock.ts'

/** Chunks that are written at the same time, as for any checkpoint: one is read while another is flushed. */
const WRITES = 2

/**
 * The chunks of a snapshot, on their way into a data directory. No checkpoint names them yet: if they are
 * disposed of before they are kept, they give their room back.
 */
export class NewChunks implements AsyncDisposable {
  /** Those that are there, in order. */
  readonly infos: ChunkInfo[] = []
  readonly #files: ChunkFiles
  readonly #drops: DropQueue
  readonly #holds: ChunkHold[] = []
  readonly #onPut: (info: ChunkInfo) => void
  #isKept = false

  private constructor(files: ChunkFiles, drops: DropQueue, onPut: (info: ChunkInfo) => void) {
    this.#files = files
    this.#drops = drops
    this.#onPut = onPut
  }

  /** @param onPut told of each chunk that is there */
  static async open(
    { checkpoints, storage }: DataDirectory,
    clock: Clock,
    onPut: (info: ChunkInfo) => void,
  ): Promise<NewChunks> {
    const drops = new DropQueue({ clock })
    const directory = chunksBeside(join(checkpoints, 'any'))
    // It is not told of what a download cannot write: there is none.
    const files = await ChunkFiles.open({ directory, storage, coder: zstdCoder, drops, onProblem: () => {} })
    return new NewChunks(files, drops, onPut)
  }

  /** Put chunks there, a few at a time. `chunk` is asked for those that are not there already. */
  async copy(
    infos: readonly ChunkInfo[],
    chunk: (index: number) => Promise<EncodedChunk>,
    signal: AbortSignal,
  ): Promise<void> {
    for (let first = 0; first < infos.length; first += WRITES) {
      signal.throwIfAborted()
      const puts = infos
        .slice(first, first + WRITES)
        .map((info, at) => this.#put(info, () => chunk(first + at)))
      const failed = (await Promise.allSettled(puts)).find(({ status }) => status === 'rejected')
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
    }
    this.infos.push(...infos)
  }

  /** Put the next one there. */
  async add(info: ChunkInfo, bytes: Uint8Array): Promise<void> {
    await this.#put(info, () => zstdCoder.encode(bytes))
    this.infos.push(info)
  }

  /** Resolves when a loss of power leaves all that is there: a checkpoint may name it then. */
  async flush(): Promise<void> {
    await this.#files.flushNames()
  }

  /** A checkpoint names them. */
  keep(): void {
    this.#isKept = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKept) {
      for (const hold of this.#holds) hold.release()
      this.#files.sweep()
    }
    await this.#drops.stop()
  }

  async #put(info: ChunkInfo, encode: () => Promise<EncodedChunk>): Promise<void> {
    this.#holds.push(this.#files.hold([info]))
    await this.#files.put(info, encode)
    this.#onPut(info)
  }
}
