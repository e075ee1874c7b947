import { basename, dirname } from 'node:path'
import type { Chance } from './chance.ts'
import { DiskFile } from './disk-file.ts'

/**
 * How many earlier meanings of a name a loss of power may bring back. A name that is given anew each second
 * would otherwise collect them for as long as nobody flushes.
 */
const EARLIER_MAX = 8

/** Something a loss of power changed, in words. */
type Tell = (what: string) => void

/** What a whole disk held, at some time. */
export interface DiskSnapshot {
  readonly directories: readonly string[]
  /** By path. Nobody changes the bytes. */
  readonly files: ReadonlyMap<string, Buffer>
}

/** One directory: the names in it, and what they may stand for after a loss of power. */
class Directory {
  readonly files = new Map<string, DiskFile>()
  /** What the names stood for that changed since the directory was flushed, the flushed meaning first. */
  readonly #earlier = new Map<string, (DiskFile | undefined)[]>()

  set(name: string, file: DiskFile | undefined): void {
    const earlier = this.#earlier.get(name) ?? []
    earlier.push(this.files.get(name))
    if (earlier.length > EARLIER_MAX) earlier.splice(1, 1)
    this.#earlier.set(name, earlier)
    if (file === undefined) this.files.delete(name)
    else this.files.set(name, file)
  }

  /** As `set`, and at once for good. */
  place(name: string, file: DiskFile): void {
    this.files.set(name, file)
    this.#earlier.delete(name)
  }

  flush(): void {
    this.#earlier.clear()
  }

  /** Each name by itself, as where the file system writes them in any order. */
  losePower(chance: Chance, keeps: number, tell: Tell): void {
    for (const [name, earlier] of this.#earlier) {
      if (chance.happens(keeps)) continue
      const file = chance.pick(earlier)
      tell(`${name} is ${file === undefined ? 'not there' : 'an earlier file'}`)
      if (file === undefined) this.files.delete(name)
      else this.files.set(name, file)
    }
    this.#earlier.clear()
    for (const [name, file] of this.files) {
      // Two names that stand for one file now are two files: a rename is no link.
      const left = file.afterPowerLoss(chance, keeps)
      if (!left.bytes.equals(file.bytes)) tell(`${name} lost some of its ${file.size} bytes`)
      this.files.set(name, left)
    }
  }
}

/** The directories and files on a simulated disk. Directories outlive a loss of power once they are made. */
export class DiskTree {
  #directories = new Map<string, Directory>()

  constructor() {
    this.clear()
  }

  /** All files, in no order that means anything but always the same. */
  *files(): Generator<[path: string, file: DiskFile]> {
    for (const [path, { files }] of this.#directories)
      for (const [name, file] of files) yield [path === '/' ? `/${name}` : `${path}/${name}`, file]
  }

  get bytes(): number {
    let sum = 0
    for (const { files } of this.#directories.values()) for (const { size } of files.values()) sum += size
    return sum
  }

  clear(): void {
    this.#directories = new Map([['/', new Directory()]])
  }

  isDirectory(path: string): boolean {
    return this.#directories.has(path)
  }

  /** Throws `EEXIST` and `ENOTDIR` where there is a file. */
  makeDirectory(path: string): void {
    if (this.#directories.has(path)) return
    if (this.find(path) !== undefined) throw failure('EEXIST')
    const above = dirname(path)
    if (this.find(above) !== undefined) throw failure('ENOTDIR')
    this.makeDirectory(above)
    this.#directories.set(path, new Directory())
  }

  list(path: string): string[] {
    const below = [...this.#directories.keys()].filter((other) => other !== '/' && dirname(other) === path)
    return [...below.map((other) => basename(other)), ...this.#directory(path).files.keys()]
  }

  find(path: string): DiskFile | undefined {
    return this.#directories.get(dirname(path))?.files.get(basename(path))
  }

  /** Throws `ENOENT`. */
  at(path: string): DiskFile {
    const file = this.find(path)
    if (file === undefined) throw failure('ENOENT')
    return file
  }

  /** An empty file, or the one that is there and now is empty. */
  make(path: string): DiskFile {
    const directory = this.#directory(dirname(path))
    if (this.#directories.has(path)) throw failure('EISDIR')
    const name = basename(path)
    const found = directory.files.get(name)
    if (found !== undefined) {
      found.empty()
      return found
    }
    const made = new DiskFile()
    directory.set(name, made)
    return made
  }

  rename(from: string, to: string): void {
    const file = this.at(from)
    if (from === to) return
    this.#directory(dirname(to)).set(basename(to), file)
    this.#directory(dirname(from)).set(basename(from), undefined)
  }

  remove(path: string): void {
    if (this.find(path) !== undefined) this.#directory(dirname(path)).set(basename(path), undefined)
  }

  flushDirectory(path: string): void {
    this.#directory(path).flush()
  }

  /** Put a file there that outlives anything. */
  place(path: string, bytes: Buffer): void {
    this.makeDirectory(dirname(path))
    this.#directory(dirname(path)).place(basename(path), new DiskFile(bytes))
  }

  /** @param keeps the probability that a change that was not flushed was written in time */
  losePower(chance: Chance, keeps: number, tell: Tell): void {
    for (const directory of this.#directories.values()) directory.losePower(chance, keeps, tell)
  }

  snapshot(): DiskSnapshot {
    const files = new Map<string, Buffer>()
    for (const [path, file] of this.files()) files.set(path, file.bytes)
    return { directories: [...this.#directories.keys()], files }
  }

  restore({ directories, files }: DiskSnapshot): void {
    this.clear()
    for (const path of directories) this.makeDirectory(path)
    for (const [path, bytes] of files) this.place(path, bytes)
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path)
    if (directory === undefined) throw failure('ENOENT')
    return directory
  }
}

/** An error as Node gives it. */
export function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: on a simulated disk`), { code })
}
