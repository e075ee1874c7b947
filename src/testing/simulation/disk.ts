import type { Storage } from '../../checkpoint/storage.ts'
import { LifeStorage } from './disk-storage.ts'
import type { DiskSnapshot } from './disk-tree.ts'
import type { Life } from './life.ts'
import { type Failing, Medium } from './medium.ts'
import type { World } from './world.ts'

export type { DiskSnapshot } from './disk-tree.ts'

/** A file, as an outsider sees it. */
export interface FileOnDisk {
  readonly path: string
  readonly bytes: number
}

/**
 * The probabilities that a change was written in time, of which a loss of power has one: nothing that was not
 * flushed may be left, or some of it, or nearly all.
 */
const KEEPS = [0, 0.5, 0.9]

/**
 * The disk of one node, and what may befall it. Its files outlive the processes that use it. What happens to
 * it by chance follows from the world's seed and its name.
 */
export class SimulatedDisk {
  readonly #medium: Medium
  /** Those who may use it. */
  readonly #lives = new Set<Life>()

  constructor(world: World, name: string) {
    const who = `disk ${name}`
    this.#medium = new Medium(world.chance(`disk/${name}`), (what) => world.note(who, what))
  }

  /** The storage of one life of a process on this node. Its locks end with that life. */
  storageFor(life: Life): Storage {
    if (life.isAlive) {
      this.#lives.add(life)
      life.onDeath(() => this.#lives.delete(life))
    }
    return new LifeStorage(life, this.#medium)
  }

  /** What a call takes, in milliseconds, between half and one and a half of this. Default 0. */
  setLatency(ms: number): void {
    this.#medium.latencyMs = ms
  }

  /**
   * The machine loses its power, and its processes die. What was flushed is left. Each write since then is
   * left whole, or its first sectors are, or it is gone. Each name that changed since its directory was
   * flushed stands for what it stood for, or for what it stood for before.
   */
  powerLoss(): void {
    const { chance, tree } = this.#medium
    for (const life of this.#lives) life.kill()
    this.#note('loses its power')
    tree.losePower(chance, chance.pick(KEEPS), this.#medium.note)
    this.#medium.forgetLocks()
  }

  /** It says that it has flushed, and does nothing, until it does not lie any more. */
  lieAboutFlush(on: boolean): void {
    this.#note(on ? 'lies about what it flushed' : 'flushes')
    this.#medium.isLying = on
  }

  /** There is room for so many bytes more. A write beyond that is `ENOSPC`, and leaves a part. */
  fill(bytesFree: number): void {
    this.#note(`has room for ${bytesFree} bytes`)
    this.#medium.capacity = this.#medium.tree.bytes + bytesFree
  }

  /** What would change anything is `EROFS`. */
  readOnly(on: boolean): void {
    this.#note(on ? 'is read-only' : 'takes writes')
    this.#medium.isWritable = !on
  }

  /** After so many calls more of this kind, each fails with this code. A write leaves a part. */
  fail(code: string, afterCalls: number, of: Failing['of'] = 'all'): void {
    this.#note(`fails with ${code} after ${afterCalls} calls, of ${of}`)
    this.#medium.failing = { code, of, callsLeft: afterCalls }
  }

  /**
   * One file that has any bytes is damaged: a bit of it is another, its end is gone, or 4 KiB of it are
   * zeros. Returns its path, or undefined where there is none.
   */
  rot({ under = '/' }: { readonly under?: string } = {}): string | undefined {
    const { chance, tree } = this.#medium
    const files = [...tree.files()].filter(([path, { size }]) => size > 0 && isUnder(path, under))
    if (files.length === 0) return undefined
    const [path, file] = chance.pick(files)
    this.#note(`has ${path} rot: ${file.rot(chance)}`)
    return path
  }

  /** All that is on it is gone. */
  wipe(): void {
    this.#note('is wiped')
    this.#medium.tree.clear()
    this.#medium.forgetLocks()
  }

  /** It holds what the other one holds, and nothing else. */
  copyFrom(other: SimulatedDisk): void {
    this.restore(other.snapshot())
  }

  /** All that is on it now, for a `restore` on this disk or another. */
  snapshot(): DiskSnapshot {
    return this.#medium.tree.snapshot()
  }

  /** It holds what it held then, and nothing else. */
  restore(snapshot: DiskSnapshot): void {
    this.#note(`has ${snapshot.files.size} files put back`)
    this.#medium.tree.restore(snapshot)
    this.#medium.forgetLocks()
  }

  /** All faults end. What was lost stays lost. */
  mend(): void {
    const medium = this.#medium
    medium.capacity = Number.POSITIVE_INFINITY
    medium.isWritable = true
    medium.isLying = false
    medium.failing = undefined
  }

  /** An operator puts a file there, with the directories above it. It outlives a loss of power. */
  provision(path: string, bytes: Uint8Array): void {
    this.#medium.tree.place(path, Buffer.from(bytes))
  }

  /** What is on it. */
  files(): FileOnDisk[] {
    return Array.from(this.#medium.tree.files(), ([path, { size }]) => ({ path, bytes: size }))
  }

  /** What a file holds. Undefined where there is none. */
  peek(path: string): Uint8Array | undefined {
    const file = this.#medium.tree.find(path)
    return file && new Uint8Array(file.bytes)
  }

  #note(what: string): void {
    this.#medium.note(what)
  }
}

function isUnder(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}
