import { closeSync, openSync, write } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ChunkStore } from '../snapshot/chunk-store.ts'
import type { EncodedChunk } from '../snapshot/encoding.ts'
import { CheckpointDamaged } from './errors.ts'
import { makeDirectory } from './make-directory.ts'

const writeAt = promisify(write)

const RAW = 0
const ZSTD = 1
/**
 * What is being written at once: each chunk has a file open, and its bytes in memory. A chunk that comes while there is so
 * much is not kept. It is on its way to the state, and a crash right then fetches it again.
 */
const WRITES_MAX = 256
const WRITING_BYTES_MAX = 64 * 1024 * 1024

/**
 * Verified chunks of a download that is not finished, one file each: a byte that says how it is encoded, then the chunk.
 * Nothing is flushed or renamed: what a crash leaves is checked when it is read, and fetched again where it is wrong.
 */
export class ChunkFiles implements ChunkStore {
  readonly #directory: string
  readonly #onProblem: (error: Error) => void
  readonly #names: Set<string>
  readonly #writing = new Set<Promise<void>>()
  #writingBytes = 0
  /** The disk did not take a chunk: no more are tried until what there is was removed. */
  #isRefused = false
  #clearing: Promise<void> = Promise.resolve()

  private constructor(directory: string, names: Set<string>, onProblem: (error: Error) => void) {
    this.#directory = directory
    this.#names = names
    this.#onProblem = onProblem
  }

  static async open(directory: string, onProblem: (error: Error) => void): Promise<ChunkFiles> {
    await makeDirectory(directory, 0o700)
    const names = (await readdir(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name))
    return new ChunkFiles(directory, new Set(names), onProblem)
  }

  has(hash: Uint8Array): boolean {
    return this.#names.has(nameOf(hash))
  }

  async read(hash: Uint8Array): Promise<EncodedChunk> {
    const path = join(this.#directory, nameOf(hash))
    const file = await readFile(path)
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
    const written = writeSoon(join(this.#directory, name), bytes)
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
      .then(() => readdir(this.#directory))
      .then((names) => Promise.all(names.map((name) => rm(join(this.#directory, name), { force: true }))))
      .then(() => this.#names.clear(), this.#onProblem)
  }

  /** Thousands of chunks follow, of which the disk would take none either. */
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

/** The write begins in another thread before this returns: however busy the event loop is, the chunk is on its way. */
async function writeSoon(path: string, bytes: Uint8Array): Promise<void> {
  const file = openSync(path, 'w', 0o600)
  try {
    await writeAt(file, bytes, 0, bytes.length, 0)
  } finally {
    closeSync(file)
  }
}

function nameOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}
