import { join } from 'node:path'
import type { ChunkStore } from '../snapshot/chunk-store.ts'
import type { EncodedChunk } from '../snapshot/encoding.ts'
import { CheckpointDamaged } from './errors.ts'
import type { Storage } from './storage.ts'

const RAW = 0
const ZSTD = 1
/**
 * Chunks that are written at the same time. Each has a file open. A chunk beyond this is not kept: it is on
 * its way to the state, and only a crash right then makes the replica fetch it again.
 */
const WRITES_MAX = 256
/** Bytes that are written at the same time, which are in memory. A chunk beyond this is not kept either. */
const WRITING_BYTES_MAX = 64 * 1024 * 1024

/**
 * Verified chunks of a download that is not finished, one file each: a byte that says how it is encoded, then
 * the chunk. Nothing is flushed or renamed. A chunk that a crash left torn is noticed when it is read, and is
 * fetched again.
 */
export class ChunkFiles implements ChunkStore {
  readonly #directory: string
  readonly #storage: Storage
  readonly #onProblem: (error: Error) => void
  readonly #names: Set<string>
  readonly #writing = new Set<Promise<void>>()
  #writingBytes = 0
  /** The disk did not take a chunk. No more are tried until those that are there have been removed. */
  #isRefused = false
  #clearing: Promise<void> = Promise.resolve()

  private constructor(
    directory: string,
    storage: Storage,
    names: Set<string>,
    onProblem: (error: Error) => void,
  ) {
    this.#directory = directory
    this.#storage = storage
    this.#names = names
    this.#onProblem = onProblem
  }

  /** @param onProblem told of what the disk does not do; the chunks concerned are fetched again */
  static async open(
    directory: string,
    storage: Storage,
    onProblem: (error: Error) => void,
  ): Promise<ChunkFiles> {
    await storage.makeDirectory(directory, 0o700)
    const names = (await storage.list(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name))
    return new ChunkFiles(directory, storage, new Set(names), onProblem)
  }

  has(hash: Uint8Array): boolean {
    return this.#names.has(nameOf(hash))
  }

  async read(hash: Uint8Array): Promise<EncodedChunk> {
    const path = join(this.#directory, nameOf(hash))
    const file = await this.#storage.read(path)
    const [encoding] = file
    if (encoding !== RAW && encoding !== ZSTD) {
      throw new CheckpointDamaged(path, 'it does not begin as a chunk does')
    }
    return { encoding: encoding === ZSTD ? 'zstd' : 'raw', bytes: file.subarray(1) }
  }

  keep(hash: Uint8Array, chunk: EncodedChunk): void {
    const name = nameOf(hash)
    const isTooMuch = this.#writing.size >= WRITES_MAX || this.#writingBytes >= WRITING_BYTES_MAX
    if (this.#names.has(name) || this.#isRefused || isTooMuch) return
    const bytes = Buffer.concat([Buffer.of(chunk.encoding === 'zstd' ? ZSTD : RAW), chunk.bytes])
    this.#writingBytes += bytes.length
    const written = this.#storage
      .write(join(this.#directory, name), bytes)
      .then(
        () => void this.#names.add(name),
        (error: Error) => this.#refused(error),
      )
      .finally(() => {
        this.#writing.delete(written)
        this.#writingBytes -= bytes.length
      })
    this.#writing.add(written)
  }

  forget(hash: Uint8Array): void {
    this.#names.delete(nameOf(hash))
  }

  clear(): void {
    this.#isRefused = false
    this.#names.clear()
    this.#clearing = Promise.all(this.#writing)
      .then(() => this.#storage.list(this.#directory))
      .then((names) => Promise.all(names.map((name) => this.#storage.remove(join(this.#directory, name)))))
      .then(() => this.#names.clear(), this.#onProblem)
  }

  /** Told of once: thousands of chunks follow, and the disk would take none of them either. */
  #refused(error: Error): void {
    if (this.#isRefused) return
    this.#isRefused = true
    this.#onProblem(error)
  }

  /** Resolves when all that was asked for is done. */
  async close(): Promise<void> {
    await Promise.all(this.#writing)
    await this.#clearing
  }
}

function nameOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}
