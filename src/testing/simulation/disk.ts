import { dirname, join } from 'node:path'
import type { ReadableFile, Storage, WritableFile, WriteOptions } from '../../checkpoint/storage.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

interface Contents {
  bytes: Buffer
  flushed: Buffer
}

/** The disk of one node. */
export class SimulatedDisk {
  readonly #world: World
  readonly #name: string
  readonly #chance: Chance
  #files = new Map<string, Contents>()
  #flushedNames = new Map<string, Contents>()
  #directories = new Set(['/'])
  readonly #locks = new Map<string, Life>()
  #latencyMs = 0
  #freeBytes = Number.POSITIVE_INFINITY
  #isReadOnly = false
  #failing: { code: string; callsLeft: number } | undefined

  constructor(world: World, name: string) {
    this.#world = world
    this.#name = name
    this.#chance = world.chance(`disk/${name}`)
  }

  setLatency(ms: number): void {
    this.#latencyMs = ms
  }

  fill(bytesFree: number): void {
    this.#freeBytes = bytesFree
  }

  readOnly(on: boolean): void {
    this.#isReadOnly = on
  }

  fail(code: string, afterCalls: number): void {
    this.#failing = { code, callsLeft: afterCalls }
  }

  mend(): void {
    this.#freeBytes = Number.POSITIVE_INFINITY
    this.#isReadOnly = false
    this.#failing = undefined
  }

  wipe(): void {
    this.#files.clear()
    this.#flushedNames.clear()
    this.#directories = new Set(['/'])
    this.#locks.clear()
  }

  powerLoss(): void {
    this.#world.note(this.#name, 'loses its power')
    const names = new Map(this.#flushedNames)
    for (const [name, contents] of this.#files) if (this.#chance.happens(0.5)) names.set(name, contents)
    this.#files = names
    for (const contents of new Set(names.values())) {
      if (contents.bytes === contents.flushed) continue
      const kept = this.#chance.integer(0, contents.bytes.length)
      contents.bytes = this.#chance.happens(0.5) ? contents.flushed : contents.bytes.subarray(0, kept)
      contents.flushed = contents.bytes
    }
    this.#flushedNames = new Map(names)
  }

  rot(): string | undefined {
    const files = [...this.#files].filter(([, { bytes }]) => bytes.length > 0)
    if (files.length === 0) return undefined
    const [name, contents] = this.#chance.pick(files)
    const bytes = Buffer.from(contents.bytes)
    const at = this.#chance.integer(0, bytes.length - 1)
    bytes[at]! ^= 1 << this.#chance.integer(0, 7)
    contents.bytes = contents.flushed = bytes
    this.#world.note(this.#name, `a file rots: ${name}`)
    return name
  }

  provision(path: string, bytes: Uint8Array): void {
    let directory = dirname(path)
    while (directory !== '/') {
      this.#directories.add(directory)
      directory = dirname(directory)
    }
    const kept = Buffer.from(bytes)
    const contents = { bytes: kept, flushed: kept }
    this.#files.set(path, contents)
    this.#flushedNames.set(path, contents)
  }

  storageFor(life: Life): Storage {
    const times = this.#latencyMs > 0 ? { thereMs: this.#latencyMs } : {}
    const call = <T>(work: () => T) =>
      life.call(() => {
        if (this.#failing !== undefined && this.#failing.callsLeft-- <= 0) throw failure(this.#failing.code)
        return work()
      }, times)
    const change = <T>(work: () => T) =>
      call(() => {
        if (this.#isReadOnly) throw failure('EROFS')
        return work()
      })
    return {
      makeDirectory: (path) => change(() => this.#makeDirectory(path)),
      list: (directory) =>
        call(() => {
          if (!this.#directories.has(directory)) throw failure('ENOENT')
          return [...this.#directories, ...this.#files.keys()].flatMap((path) =>
            path !== '/' && dirname(path) === directory ? [path.slice(join(directory, '/').length)] : [],
          )
        }),
      read: (path) => call(() => Buffer.from(this.#at(path).bytes)),
      write: (path, bytes, { flush = false }: WriteOptions = {}) => {
        const copy = Buffer.from(bytes)
        return change(() => {
          const contents = this.#make(path)
          this.#put(contents, copy, 0)
          if (flush) contents.flushed = contents.bytes
        })
      },
      open: (path) =>
        call((): ReadableFile => {
          const { bytes } = this.#at(path)
          return {
            size: bytes.length,
            read: (into, at) => call(() => bytes.copy(into, 0, at)),
            close: () => call(() => {}),
          }
        }),
      create: (path) =>
        change((): WritableFile => {
          const contents = this.#make(path)
          return {
            write: (bytes, at) => change(() => this.#put(contents, bytes, at)),
            flush: () =>
              change(() => {
                contents.flushed = contents.bytes
              }),
            close: () => call(() => {}),
          }
        }),
      size: (path) => call(() => this.#at(path).bytes.length),
      rename: (from, to) =>
        change(() => {
          this.#files.set(to, this.#at(from))
          this.#files.delete(from)
        }),
      remove: (path) => change(() => void this.#files.delete(path)),
      flushDirectory: (path) =>
        change(() => {
          for (const name of this.#flushedNames.keys())
            if (dirname(name) === path) this.#flushedNames.delete(name)
          for (const [name, contents] of this.#files)
            if (dirname(name) === path) this.#flushedNames.set(name, contents)
        }),
      lock: (path) =>
        call(() => {
          if (this.#locks.get(path)?.isAlive) return undefined
          this.#locks.set(path, life)
          return { [Symbol.dispose]: () => void this.#locks.delete(path) }
        }),
    }
  }

  #makeDirectory(path: string): void {
    if (this.#files.has(path)) throw failure('EEXIST')
    if (this.#directories.has(path)) return
    this.#makeDirectory(dirname(path))
    this.#directories.add(path)
  }

  #at(path: string): Contents {
    const contents = this.#files.get(path)
    if (contents === undefined) throw failure('ENOENT')
    return contents
  }

  #make(path: string): Contents {
    if (!this.#directories.has(dirname(path))) throw failure('ENOENT')
    const contents = { bytes: Buffer.alloc(0), flushed: Buffer.alloc(0) }
    this.#files.set(path, contents)
    return contents
  }

  #put(contents: Contents, bytes: Uint8Array, at: number): void {
    const isFull = bytes.length > this.#freeBytes
    const taken = isFull ? bytes.subarray(0, Math.floor(this.#freeBytes)) : bytes
    this.#freeBytes -= taken.length
    const { bytes: before } = contents
    contents.bytes = Buffer.concat([before.subarray(0, at), taken, before.subarray(at + taken.length)])
    if (isFull) throw failure('ENOSPC')
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code })
}
