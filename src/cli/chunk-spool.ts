import { type FileHandle, open, rm } from 'node:fs/promises'
import type { Position } from '../position.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { type ChunkInfo, chunkHash, type Manifest, makeManifest } from '../snapshot/manifest.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'

/** A snapshot that was fetched and verified. */
export interface Spooled {
  readonly anchor: Position
  readonly manifest: Manifest
}

/**
 * A snapshot's chunks on the disk, in the order in which they came, until a checkpoint is made of them: its list of
 * chunks stands behind them, and is known at the end. No machine is needed, and no more memory than a chunk takes.
 */
export class ChunkSpool implements StateBuilder, AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle
  readonly #coder: ChunkCoder
  readonly #infos: ChunkInfo[] = []
  readonly #places: {
    readonly at: number
    readonly bytes: number
    readonly encoding: EncodedChunk['encoding']
  }[] = []
  #bytes = 0
  #spooled: Spooled | undefined

  /** Rejects with what the disk says. */
  static async at(path: string, coder: ChunkCoder): Promise<ChunkSpool> {
    return new ChunkSpool(path, await open(path, 'w+', 0o600), coder)
  }

  private constructor(path: string, file: FileHandle, coder: ChunkCoder) {
    this.#path = path
    this.#file = file
    this.#coder = coder
  }

  /** Begin anew: another snapshot comes. */
  restart(): this {
    this.#infos.length = this.#places.length = this.#bytes = 0
    return this
  }

  async add(chunk: Uint8Array, items: number): Promise<void> {
    this.#infos.push({ items, bytes: chunk.length, hash: chunkHash(chunk) })
    const { encoding, bytes } = await this.#coder.encode(chunk)
    this.#places.push({ at: this.#bytes, bytes: bytes.length, encoding })
    await this.#file.write(bytes, 0, bytes.length, this.#bytes)
    this.#bytes += bytes.length
  }

  commit(anchor: Position, control: Uint8Array): void {
    this.#spooled = { anchor, manifest: makeManifest(new Uint8Array(control), [...this.#infos]) }
  }

  /** What was committed; undefined before. */
  get spooled(): Spooled | undefined {
    return this.#spooled
  }

  readonly chunk = async (index: number): Promise<EncodedChunk> => {
    const { at, bytes: length, encoding } = this.#places[index]!
    const bytes = Buffer.allocUnsafe(length)
    await this.#file.read(bytes, 0, length, at)
    return { encoding, bytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
    await rm(this.#path, { force: true })
  }
}
