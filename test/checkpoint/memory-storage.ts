import { dirname, join } from 'node:path'
import type { ReadableFile, Storage, WritableFile, WriteOptions } from '../../src/checkpoint/storage.ts'

interface Contents {
  bytes: Buffer
  /** What a crash of the machine leaves of it. */
  flushed: Buffer
}

/**
 * A disk in memory, for one process, with the accidents that befall one. Directories outlive a crash as they
 * are made.
 */
export class MemoryStorage implements Storage {
  #files = new Map<string, Contents>()
  /** The names that a crash of the machine leaves. */
  readonly #flushed = new Map<string, Contents>()
  readonly #directories = new Set(['/'])
  readonly #locks = new Set<string>()
  #trouble: { writesLeft: number; readonly code: string } | undefined

  /** After this many more writes, each one fails with this code, and leaves half of its bytes. */
  failAfter(writes: number, code: string): void {
    this.#trouble = { writesLeft: writes, code }
  }

  /** Writes work again. */
  mend(): void {
    this.#trouble = undefined
  }

  /** The machine loses its power: what was not flushed is gone. */
  crash(): void {
    this.#files = new Map(this.#flushed)
    for (const contents of this.#files.values()) contents.bytes = contents.flushed
  }

  async makeDirectory(path: string): Promise<void> {
    if (this.#files.has(path)) throw failure('EEXIST', 'mkdir', path)
    if (this.#directories.has(path)) return
    if (this.#files.has(dirname(path))) throw failure('ENOTDIR', 'mkdir', path)
    await this.makeDirectory(dirname(path))
    this.#directories.add(path)
  }

  async list(directory: string): Promise<string[]> {
    if (!this.#directories.has(directory)) throw failure('ENOENT', 'scandir', directory)
    return [...this.#directories, ...this.#files.keys()].flatMap((path) =>
      path !== '/' && dirname(path) === directory ? [path.slice(join(directory, '/').length)] : [],
    )
  }

  async read(path: string): Promise<Buffer> {
    return Buffer.from(this.#at(path).bytes)
  }

  async write(path: string, bytes: Uint8Array, { flush = false }: WriteOptions = {}): Promise<void> {
    const contents = this.#make(path)
    this.#put(contents, bytes, 0)
    if (flush) contents.flushed = contents.bytes
  }

  async open(path: string): Promise<ReadableFile> {
    const contents = this.#at(path)
    return {
      size: contents.bytes.length,
      read: async (into, at) => contents.bytes.copy(into, 0, at),
      close: async () => {},
    }
  }

  async create(path: string): Promise<WritableFile> {
    const contents = this.#make(path)
    return {
      write: async (bytes, at) => this.#put(contents, bytes, at),
      flush: async () => {
        contents.flushed = contents.bytes
      },
      close: async () => {},
    }
  }

  async size(path: string): Promise<number> {
    return this.#at(path).bytes.length
  }

  async rename(from: string, to: string): Promise<void> {
    this.#files.set(to, this.#at(from))
    this.#files.delete(from)
  }

  async remove(path: string): Promise<void> {
    this.#files.delete(path)
  }

  async flushDirectory(path: string): Promise<void> {
    for (const name of this.#flushed.keys()) if (dirname(name) === path) this.#flushed.delete(name)
    for (const [name, contents] of this.#files) if (dirname(name) === path) this.#flushed.set(name, contents)
  }

  async lock(path: string): Promise<Disposable | undefined> {
    if (this.#locks.has(path)) return undefined
    this.#locks.add(path)
    return { [Symbol.dispose]: () => void this.#locks.delete(path) }
  }

  #at(path: string): Contents {
    const contents = this.#files.get(path)
    if (contents === undefined) throw failure('ENOENT', 'open', path)
    return contents
  }

  #make(path: string): Contents {
    if (!this.#directories.has(dirname(path))) throw failure('ENOENT', 'open', path)
    const contents = { bytes: Buffer.alloc(0), flushed: Buffer.alloc(0) }
    this.#files.set(path, contents)
    return contents
  }

  #put(contents: Contents, bytes: Uint8Array, at: number): void {
    const isTrouble = this.#trouble !== undefined && this.#trouble.writesLeft-- <= 0
    const taken = isTrouble ? bytes.subarray(0, bytes.length >> 1) : bytes
    const { bytes: before } = contents
    contents.bytes = Buffer.concat([before.subarray(0, at), taken, before.subarray(at + taken.length)])
    if (isTrouble) throw failure(this.#trouble!.code, 'write')
  }
}

function failure(code: string, syscall: string, path?: string): NodeJS.ErrnoException {
  const where = path === undefined ? syscall : `${syscall} '${path}'`
  return Object.assign(new Error(`${code}: ${where}`), { code, syscall, path })
}
