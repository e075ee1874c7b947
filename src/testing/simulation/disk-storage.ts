import type { ReadableFile, Storage, WritableFile, WriteOptions } from '../../checkpoint/storage.ts'
import type { DiskFile } from './disk-file.ts'
import { failure } from './disk-tree.ts'
import type { Life } from './life.ts'
import type { CallKind, Medium } from './medium.ts'

/** A call and what it is about, as in the system's errors. */
interface Call<T> {
  readonly kind: CallKind
  readonly syscall: string
  readonly path: string
  /** @param isTorn it is cut off: do a part of it */
  readonly work: (isTorn: boolean) => T
}

/** The disk of a node, as one life of a process there sees it. */
export class LifeStorage implements Storage {
  readonly #life: Life
  readonly #medium: Medium
  /** Calls that the disk has not got to, the first one first. */
  readonly #underWay = new Set<Call<unknown>>()

  constructor(life: Life, medium: Medium) {
    this.#life = life
    this.#medium = medium
    life.onDeath(() => this.#die())
  }

  makeDirectory(path: string): Promise<void> {
    const { tree } = this.#medium
    const kind = tree.isDirectory(path) ? 'read' : 'change'
    return this.#call(kind, 'mkdir', path, () => tree.makeDirectory(path))
  }

  list(directory: string): Promise<string[]> {
    return this.#call('read', 'scandir', directory, () => this.#medium.tree.list(directory))
  }

  read(path: string): Promise<Buffer> {
    return this.#call('read', 'open', path, () => Buffer.from(this.#medium.tree.at(path).bytes))
  }

  write(path: string, bytes: Uint8Array, { flush = false }: WriteOptions = {}): Promise<void> {
    return this.#call('write', 'write', path, (isTorn) => {
      const file = this.#medium.tree.make(path)
      this.#medium.write(file, bytes, 0, isTorn)
      if (flush && !isTorn) this.#medium.flush(file)
    })
  }

  flush(path: string): Promise<void> {
    return this.#call('change', 'fsync', path, () => this.#medium.flush(this.#medium.tree.at(path)))
  }

  open(path: string): Promise<ReadableFile> {
    return this.#call('read', 'open', path, () => this.#readable(path, this.#medium.tree.at(path)))
  }

  create(path: string): Promise<WritableFile> {
    return this.#call('change', 'open', path, () => this.#writable(path, this.#medium.tree.make(path)))
  }

  size(path: string): Promise<number> {
    return this.#call('read', 'stat', path, () => this.#medium.tree.at(path).size)
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('change', 'rename', from, () => this.#medium.tree.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#call('change', 'unlink', path, () => this.#medium.tree.remove(path))
  }

  flushDirectory(path: string): Promise<void> {
    return this.#call('change', 'fsync', path, () => this.#medium.flushDirectory(path))
  }

  lock(path: string): Promise<Disposable | undefined> {
    const kind = this.#medium.tree.find(path) === undefined ? 'change' : 'read'
    return this.#call(kind, 'lock', path, () => this.#medium.lock(path, this.#life))
  }

  #readable(path: string, file: DiskFile): ReadableFile {
    const { size } = file
    return {
      size,
      read: (into, at) => this.#call('read', 'read', path, () => file.bytes.subarray(at).copy(into)),
      close: () => this.#close(),
    }
  }

  #writable(path: string, file: DiskFile): WritableFile {
    return {
      write: (bytes, at) =>
        this.#call('write', 'write', path, (isTorn) => this.#medium.write(file, bytes, at, isTorn)),
      flush: () => this.#call('change', 'fsync', path, () => this.#medium.flush(file)),
      close: () => this.#close(),
    }
  }

  #close(): Promise<void> {
    return this.#life.call(() => {})
  }

  #call<T>(kind: CallKind, syscall: string, path: string, work: (isTorn: boolean) => T): Promise<T> {
    const call = { kind, syscall, path, work }
    const thereMs = this.#medium.drawLatencyMs()
    if (thereMs === 0) return this.#life.call(() => this.#do(call))
    const done = this.#life.call(
      () => {
        // What a dead process had under way was settled when it died.
        if (!this.#underWay.delete(call)) return new Promise<T>(() => {})
        return this.#do(call)
      },
      { thereMs },
    )
    // The call may have been the one that it dies at.
    if (this.#life.isAlive) this.#underWay.add(call)
    return done
  }

  #do<T>({ kind, syscall, path, work }: Call<T>): T {
    try {
      if (kind !== 'read') this.#medium.assertWritable()
      const code = this.#medium.failureOf(kind)
      if (code !== undefined) {
        // A write that fails has begun.
        if (kind === 'write') work(true)
        throw failure(code)
      }
      return work(false)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') this.#medium.note(`${syscall} of ${path} fails: ${code}`)
      throw Object.assign(error as Error, { syscall, path })
    }
  }

  /** No process is gone before the disk is done with its calls: each happens now, in part, or not at all. */
  #die(): void {
    const { chance } = this.#medium
    for (const { kind, work } of this.#underWay) {
      if (kind === 'read' || !this.#medium.isWritable || !chance.happens(0.5)) continue
      try {
        work(kind === 'write' && chance.happens(0.5))
      } catch {
        // There is nobody left to be told.
      }
    }
    this.#underWay.clear()
  }
}
