import { hash } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import type { Guarded } from './control.ts'
import { GroupStateSchema } from './pb/group_pb.js'

/**
 * How many of the newest writes with a key are remembered. They are in every snapshot, and a durable machine
 * writes them with every commit, so they must be few: these have at most 60 KB. At 100 such writes a second
 * they reach back 20 seconds, which is longer than an append stays uncertain. It is part of format 2 of the
 * group's state: another number needs another format.
 */
export const RECENT_WRITES_MAX = 2_048

/** A key is remembered by so many bytes of its hash: enough that no two keys ever meet. */
const NAME_BYTES = 16

/** A write with a key that was applied. */
export interface RecentWrite {
  /** The first 16 bytes of its key's SHA-256. */
  readonly key: Uint8Array
  /** The index of its entry. */
  readonly index: number
}

/** A write in the window. */
interface Remembered {
  readonly name: string
  readonly index: number
  /** What stands for it in the group's state, once that was asked for. */
  bytes?: Uint8Array
}

/** Whether the conditions of a command are met at its place in the log. It is the same on every replica. */
export type Verdict =
  /** It is to be applied. */
  | { readonly type: 'met'; readonly guarded: Guarded }
  /** A write with the same key was applied before. */
  | { readonly type: 'repeated'; readonly first: number }
  /** A command was applied after the one that it expects to be the newest. */
  | { readonly type: 'conflict'; readonly expected: number; readonly newest: number }

/**
 * What the conditions of commands are about: the newest command that was applied, and the newest writes that
 * had a key, in the order of the log.
 */
export class RecentWrites {
  #newest = 0
  /** The indexes of writes by the names of their keys. */
  readonly #indexes = new Map<string, number>()
  /** These writes, as a ring. A map would look for its oldest one among all that were deleted. */
  #ring: Remembered[] = []
  /** Where the oldest one is. */
  #oldest = 0

  /** The index of the newest command; or of the entry since which commands are counted. */
  get newest(): number {
    return this.#newest
  }

  /** The writes that had a key, oldest first. */
  get keyed(): readonly RecentWrite[] {
    return this.#inOrder.map(recentWriteOf)
  }

  /**
   * These writes as fields of the group's state. A durable machine commits them again and again: so what stands for one
   * is made once.
   */
  get fields(): readonly Uint8Array[] {
    return this.#inOrder.map((write) => {
      write.bytes ??= toBinary(GroupStateSchema, create(GroupStateSchema, { recent: [fieldsOf(write)] }))
      return write.bytes
    })
  }

  /** The index of the write with this key that was applied; undefined if it is not among the newest. */
  indexOf(key: Uint8Array): number | undefined {
    return this.#indexes.get(nameOf(key))
  }

  /** The key comes first: a write that is repeated has what it wanted, whatever came after it. */
  judge(guarded: Guarded): Verdict {
    const { key, expect } = guarded
    const first = key && this.indexOf(key)
    if (first !== undefined) return { type: 'repeated', first }
    if (expect !== undefined && this.#newest > expect)
      return { type: 'conflict', expected: expect, newest: this.#newest }
    return { type: 'met', guarded }
  }

  /**
   * A command was applied.
   * @param key none for one that changed nothing, since it may succeed when it is repeated
   */
  applied(index: number, key?: Uint8Array): void {
    this.#newest = index
    if (key === undefined) return
    const name = nameOf(key)
    const write = { name, index }
    if (this.#ring.length < RECENT_WRITES_MAX) this.#ring.push(write)
    else {
      this.#indexes.delete(this.#ring[this.#oldest]!.name)
      this.#ring[this.#oldest] = write
      this.#oldest = (this.#oldest + 1) % RECENT_WRITES_MAX
    }
    this.#indexes.set(name, index)
  }

  /** Go on from what another replica had. */
  restore(newest: number, keyed: readonly RecentWrite[]): void {
    this.#newest = newest
    this.#ring = keyed.map(({ key, index }) => ({ name: textOf(key), index }))
    this.#oldest = 0
    this.#indexes.clear()
    for (const { name, index } of this.#ring) this.#indexes.set(name, index)
  }

  get #inOrder(): readonly Remembered[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)]
  }
}

function recentWriteOf({ name, index }: Remembered): RecentWrite {
  return { key: Buffer.from(name, 'latin1'), index }
}

function fieldsOf(write: Remembered) {
  const { key, index } = recentWriteOf(write)
  return { key, index: BigInt(index) }
}

function nameOf(key: Uint8Array): string {
  return hash('sha256', key, 'binary').slice(0, NAME_BYTES)
}

function textOf(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1')
}
