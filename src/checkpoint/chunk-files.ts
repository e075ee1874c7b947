import { join } from 'node:path'
import { sameBytes } from '../bytes.ts'
import type { DropKind, DropQueue } from '../leases/drop-queue.ts'
import type { ChunkStore } from '../snapshot/chunk-store.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { type ChunkInfo, chunkHash } from '../snapshot/manifest.ts'
import { chunkFileBytes, chunkName, isChunkName, readChunkFile } from './chunk-file.ts'
import type { Storage } from './storage.ts'

export interface ChunkFilesInit {
  readonly directory: string
  readonly storage: Storage
  readonly coder: ChunkCoder
  /** Removes what is not needed any more. */
  readonly drops: DropQueue
  /** Told of what the disk does not do; the chunks concerned are fetched again. */
  readonly onProblem: (error: Error) => void
}

/** Chunks that something needs, until it is released. */
export interface ChunkHold {
  /** The file of each is there, as far as is known. */
  readonly isWhole: boolean
  /** The size of their files, each counted once. A file that was not read or written in this life counts 0. */
  readonly bytes: number
  release(): void
}

interface Entry {
  readonly name: string
  /** No two have the same. */
  readonly order: number
  /**
   * `good`: this life wrote or verified the file. `found`: the file was there before, and may be torn.
   * `missing`: there is no file that can be used.
   */
  file: 'good' | 'found' | 'missing'
  bytes: number
  isFlushed: boolean
  /** How many hold it. */
  holds: number
  /** It belongs to a download that is not over. */
  isFetched: boolean
  /** Resolves when the file is written or removed, while it is. */
  busy: Promise<void> | undefined
}

/**
 * Chunks of a download that are written at the same time. Each has a file open. A chunk beyond this is not
 * kept: it is on its way to the state, and only a crash right then makes the replica fetch it again.
 */
const WRITES_MAX = 256
/** Bytes that are written at the same time, which are in memory. A chunk beyond this is not kept either. */
const WRITING_BYTES_MAX = 64 * 1024 * 1024

/**
 * The chunks in a data directory, one file each, named by their hashes. A chunk that several checkpoints and
 * a download have in common is stored once. It is removed when none of them needs it.
 *
 * A download's chunks are neither flushed nor renamed, so a crash may leave a torn one. For this reason a
 * checkpoint shares a file only if this life wrote or verified it.
 */
export class ChunkFiles implements ChunkStore {
  readonly #init: ChunkFilesInit
  readonly #entries = new Map<string, Entry>()
  readonly #unneeded: DropKind<Entry>
  readonly #writing = new Set<Promise<void>>()
  #writingBytes = 0
  #made = 0
  /** The disk did not take a chunk of the download. No more of it are tried. */
  #isRefused = false
  /** Names were given that a loss of power would take away. */
  #isNamesChanged = false
  /** All that was there before, until it is known what the checkpoints need. */
  #uncounted: ChunkHold | undefined

  private constructor(init: ChunkFilesInit) {
    this.#init = init
    this.#unneeded = init.drops.kind('chunk', {
      list: () => Array.from(this.#entries.values()).filter(isUnneeded),
      indexOf: ({ order }) => order,
      spared: (entry) => !isUnneeded(entry),
      release: (entry) => this.#alone(entry, () => this.#remove(entry)),
    })
  }

  /** Makes the directory if it is not there, and removes the drafts of writes that were cut off. */
  static async open(init: ChunkFilesInit): Promise<ChunkFiles> {
    const { directory, storage } = init
    const files = new ChunkFiles(init)
    await storage.makeDirectory(directory, 0o700)
    const found: Entry[] = []
    for (const name of await storage.list(directory)) {
      if (name.endsWith('.new')) await storage.remove(join(directory, name))
      if (isChunkName(name)) found.push(Object.assign(files.#entry(name), { file: 'found', isFetched: true }))
    }
    files.#uncounted = files.#hold(found)
    return files
  }

  /** All that is there, also what may be torn. */
  has(hash: Uint8Array): boolean {
    return (this.#entries.get(chunkName(hash))?.file ?? 'missing') !== 'missing'
  }

  async read(hash: Uint8Array): Promise<EncodedChunk> {
    return await readChunkFile(this.#path(chunkName(hash)), this.#init.storage)
  }

  keep(hash: Uint8Array, chunk: EncodedChunk): void {
    const name = chunkName(hash)
    const known = this.#entries.get(name)
    if (known !== undefined && known.file !== 'missing') known.isFetched = true
    // A file that a checkpoint names is never written in place.
    if (known !== undefined && (known.isFetched || known.holds > 0 || known.busy !== undefined)) return
    const isTooMuch = this.#writing.size >= WRITES_MAX || this.#writingBytes >= WRITING_BYTES_MAX
    if (this.#isRefused || isTooMuch) return
    const entry = this.#entry(name)
    const bytes = chunkFileBytes(chunk)
    entry.isFetched = true
    this.#writingBytes += bytes.length
    const written = this.#alone(entry, () => this.#init.storage.write(this.#path(entry.name), bytes))
      .then(
        () => this.#isThere(entry, bytes.length, { isFlushed: false }),
        (error: Error) => this.#refused(entry, error),
      )
      .finally(() => {
        this.#writing.delete(written)
        this.#writingBytes -= bytes.length
      })
    this.#writing.add(written)
  }

  /** The file is not what its name says, or cannot be read. It is written anew when a checkpoint needs it. */
  forget(hash: Uint8Array): void {
    const entry = this.#entries.get(chunkName(hash))
    if (entry === undefined) return
    entry.file = 'missing'
    entry.isFetched = false
  }

  /** The download is over: its chunks are removed, but for those that a checkpoint holds. */
  clear(): void {
    this.#isRefused = false
    for (const entry of this.#entries.values()) entry.isFetched = false
    this.sweep()
  }

  /** Keep these chunks from being removed, whether they are there yet or not. */
  hold(chunks: readonly Pick<ChunkInfo, 'hash'>[]): ChunkHold {
    const names = new Set(chunks.map(({ hash }) => chunkName(hash)))
    return this.#hold(Array.from(names, (name) => this.#entry(name)))
  }

  /** What the checkpoints need is held by now: the rest may be removed. */
  counted(): void {
    this.#uncounted?.release()
    this.#uncounted = undefined
  }

  /** A checkpoint that names this chunk was read, and the chunk in its file was the right one. */
  verified(hash: Uint8Array, { bytes }: EncodedChunk): void {
    this.#isThere(this.#entry(chunkName(hash)), bytes.length + 1, { isFlushed: true })
  }

  /**
   * Have a chunk on disk that is held, where a crash of the machine leaves it once its name is flushed.
   * Resolves with how many bytes were written: 0 for a chunk that is there. Throws if the disk does not take
   * it.
   * @param encode asked for the chunk only if it is not there
   */
  async put(info: ChunkInfo, encode: () => Promise<EncodedChunk>): Promise<number> {
    const entry = this.#entry(chunkName(info.hash))
    return await this.#alone(entry, async () => {
      if (entry.file === 'found' && !(await this.#verify(entry, info))) entry.file = 'missing'
      if (entry.file === 'missing') return await this.#write(entry, chunkFileBytes(await encode()))
      if (!entry.isFlushed) await this.#flush(entry)
      return 0
    })
  }

  /** Resolves when a crash of the machine leaves the names of all that was put. */
  async flushNames(): Promise<void> {
    if (!this.#isNamesChanged) return
    this.#isNamesChanged = false
    try {
      await this.#init.storage.flushDirectory(this.#init.directory)
    } catch (error) {
      this.#isNamesChanged = true
      throw error
    }
  }

  /** Have removed what nothing needs, soon. */
  sweep(): void {
    this.#unneeded.dropBelow(Number.POSITIVE_INFINITY)
  }

  /** Resolves when all that a download had kept is written. */
  async close(): Promise<void> {
    await Promise.all(this.#writing)
  }

  #path(name: string): string {
    return join(this.#init.directory, name)
  }

  #entry(name: string): Entry {
    const known = this.#entries.get(name)
    if (known !== undefined) return known
    const entry: Entry = {
      name,
      order: this.#made++,
      file: 'missing',
      bytes: 0,
      isFlushed: false,
      holds: 0,
      isFetched: false,
      busy: undefined,
    }
    this.#entries.set(name, entry)
    return entry
  }

  #hold(entries: readonly Entry[]): ChunkHold {
    for (const entry of entries) entry.holds++
    let isHeld = true
    return {
      get isWhole() {
        return entries.every(({ file }) => file !== 'missing')
      },
      get bytes() {
        return entries.reduce((sum, { bytes }) => sum + bytes, 0)
      },
      release() {
        if (isHeld) for (const entry of entries) entry.holds--
        isHeld = false
      },
    }
  }

  /** Do something to a file while nobody else does. */
  async #alone<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
    while (entry.busy !== undefined) await entry.busy
    const { promise, resolve } = Promise.withResolvers<void>()
    entry.busy = promise
    try {
      return await work()
    } finally {
      entry.busy = undefined
      resolve()
    }
  }

  #isThere(entry: Entry, bytes: number, { isFlushed }: Pick<Entry, 'isFlushed'>): void {
    Object.assign(entry, { file: 'good', bytes, isFlushed })
    // The download may have ended meanwhile.
    if (isUnneeded(entry)) this.sweep()
  }

  /** Told of once: thousands of chunks follow, and the disk would take none of them either. */
  #refused(entry: Entry, error: Error): void {
    entry.isFetched = false
    this.sweep()
    if (this.#isRefused) return
    this.#isRefused = true
    this.#init.onProblem(error)
  }

  async #verify(entry: Entry, { bytes, hash }: ChunkInfo): Promise<boolean> {
    try {
      const encoded = await this.read(hash)
      if (!sameBytes(chunkHash(await this.#init.coder.decode(encoded, bytes)), hash)) return false
      this.#isThere(entry, encoded.bytes.length + 1, { isFlushed: false })
      return true
    } catch {
      return false
    }
  }

  async #flush(entry: Entry): Promise<void> {
    try {
      await this.#init.storage.flush(this.#path(entry.name))
    } catch (error) {
      // Somebody may have removed it: it is looked at before it is used again.
      entry.file = 'found'
      throw error
    }
    this.#isNamesChanged = entry.isFlushed = true
  }

  /** Under another name first: a checkpoint may name the file that it replaces. */
  async #write(entry: Entry, bytes: Buffer): Promise<number> {
    const { storage } = this.#init
    const path = this.#path(entry.name)
    const draft = `${path}.new`
    try {
      await storage.write(draft, bytes, { flush: true })
      await storage.rename(draft, path)
    } catch (error) {
      await storage.remove(draft).catch(() => {})
      throw error
    }
    this.#isNamesChanged = true
    this.#isThere(entry, bytes.length, { isFlushed: true })
    return bytes.length
  }

  async #remove(entry: Entry): Promise<number> {
    const { storage } = this.#init
    const path = this.#path(entry.name)
    entry.file = 'missing'
    // It may never have been written.
    const bytes = await storage.size(path).catch(() => 0)
    await storage.remove(path)
    if (entry.holds === 0) this.#entries.delete(entry.name)
    return bytes
  }
}

function isUnneeded({ holds, isFetched, busy }: Entry): boolean {
  return holds === 0 && !isFetched && busy === undefined
}
