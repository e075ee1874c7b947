import type { Chance } from './chance.ts'
import type { DiskFile } from './disk-file.ts'
import { DiskTree, failure } from './disk-tree.ts'
import type { Life } from './life.ts'

/** What a call does. A write may be cut off in the middle, everything else happens or does not. */
export type CallKind = 'read' | 'change' | 'write'

/** Which calls fail, and from when on. */
export interface Failing {
  readonly code: string
  readonly of: 'reads' | 'writes' | 'all'
  /** Calls of this kind that still work. */
  callsLeft: number
}

/** What all who use a disk share: what is on it, in which condition it is, and who holds which lock. */
export class Medium {
  readonly tree = new DiskTree()
  readonly chance: Chance
  readonly note: (what: string) => void
  latencyMs = 0
  /** What all files may have together. */
  capacity = Number.POSITIVE_INFINITY
  isWritable = true
  /** It says that it flushed, and has not. */
  isLying = false
  failing: Failing | undefined
  readonly #locks = new Map<string, { readonly by: Life }>()

  constructor(chance: Chance, note: (what: string) => void) {
    this.chance = chance
    this.note = note
  }

  /** Calls that are made at one time end in any order. */
  drawLatencyMs(): number {
    return this.latencyMs === 0 ? 0 : this.latencyMs * (0.5 + this.chance.next())
  }

  /** The code of the error of this call, if it fails. */
  failureOf(kind: CallKind): string | undefined {
    const { failing } = this
    if (failing === undefined) return undefined
    const isMeant = failing.of === 'all' || (failing.of === 'reads') === (kind === 'read')
    return isMeant && failing.callsLeft-- <= 0 ? failing.code : undefined
  }

  assertWritable(): void {
    if (!this.isWritable) throw failure('EROFS')
  }

  /**
   * Write as much as there is room for. Throws `ENOSPC` where that is not all.
   * @param isTorn only a part of it
   */
  write(file: DiskFile, whole: Uint8Array, at: number, isTorn: boolean): void {
    const bytes = isTorn ? whole.subarray(0, this.chance.integer(0, whole.length)) : whole
    const growth = Math.max(0, at + bytes.length - file.size)
    // What is on a disk is counted only where it may be full.
    const free = this.capacity === Number.POSITIVE_INFINITY ? growth : this.capacity - this.tree.bytes
    if (growth <= free) return file.write(bytes, at)
    file.write(bytes.subarray(0, Math.max(0, bytes.length - growth + free)), at)
    throw failure('ENOSPC')
  }

  flush(file: DiskFile): void {
    if (!this.isLying) file.flush()
  }

  flushDirectory(path: string): void {
    if (!this.isLying) this.tree.flushDirectory(path)
  }

  /** Undefined where a process that lives has it. */
  lock(path: string, by: Life): Disposable | undefined {
    if (this.#locks.get(path)?.by.isAlive) return undefined
    if (this.tree.find(path) === undefined) this.tree.make(path)
    const lock = { by }
    this.#locks.set(path, lock)
    return {
      [Symbol.dispose]: () => {
        if (this.#locks.get(path) === lock) this.#locks.delete(path)
      },
    }
  }

  /** The files of the locks are other ones now. */
  forgetLocks(): void {
    this.#locks.clear()
  }
}
