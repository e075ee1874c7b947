import type { Snapshot } from '../machine/machine.ts'
import type { BasisOptions } from './basis.ts'
import { readChunks } from './chunk-reader.ts'
import type { ChunkBody, ChunkSink } from './chunk-sink.ts'
import { DistantChunk } from './distant-chunk.ts'
import type { ChunkInfo } from './manifest.ts'
import { releaseSnapshot } from './release.ts'

/**
 * The state that a joiner has already, where that may be larger than memory. The new state reuses its whole
 * chunks, which are read when they are needed. Of its single items nothing is known: to find them again takes
 * memory for each.
 */
export class DistantBasis implements ChunkSink {
  readonly infos: ChunkInfo[] = []
  readonly #byHash = new Map<string, DistantChunk>()
  readonly #source: Snapshot

  private constructor(source: Snapshot) {
    this.#source = source
  }

  /** Cut a snapshot that has `places` in the way providers cut theirs. It is released with the basis. */
  static async of(snapshot: Snapshot, options: BasisOptions): Promise<DistantBasis> {
    const { signal, enough } = options
    const basis = new DistantBasis(snapshot)
    try {
      const either = AbortSignal.any([signal, enough])
      await readChunks(snapshot, basis, { ...options, distant: true, signal: either })
    } catch (error) {
      if (!enough.aborted || signal.aborted) {
        basis.release()
        throw error
      }
    }
    return basis
  }

  get isEmpty(): boolean {
    return this.#byHash.size === 0
  }

  add(body: ChunkBody, info: ChunkInfo): void {
    if (!(body instanceof DistantChunk)) throw new TypeError('the snapshot has no places')
    this.infos.push(info)
    this.#byHash.set(nameOf(info.hash), body)
  }

  has(hash: Uint8Array): boolean {
    return this.#byHash.has(nameOf(hash))
  }

  /** The chunk with this hash, decoded. Undefined if this state does not have the whole chunk. */
  async read(hash: Uint8Array): Promise<Uint8Array | undefined> {
    return await this.#byHash.get(nameOf(hash))?.read()
  }

  /** Let go of the state. The basis is empty from now on. */
  release(): void {
    this.#byHash.clear()
    releaseSnapshot(this.#source)
  }
}

function nameOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1')
}
