import { LeaseTable } from '../leases/lease-table.ts'
import { Sweeper } from '../leases/sweeper.ts'
import { ByteReader } from '../machine/byte-reader.ts'
import type { ByteString } from '../machine/byte-string.ts'
import { ByteWriter } from '../machine/byte-writer.ts'
import { MalformedItem } from '../machine/errors.ts'
import type { Items } from '../machine/items.ts'
import type { Installation, Snapshot, Transaction } from '../machine/machine.ts'
import { VirtualClock } from '../time/virtual-clock.ts'
import { ItemParts } from './item-parts.ts'
import { TreeSnapshot } from './state-items.ts'
import { PackedTree } from './tree/packed-tree.ts'
import { TreeBuilder } from './tree/tree-builder.ts'

/** Keys from one to another, or up to a number of them. */
export interface KeyRange {
  readonly gte?: ByteString | undefined
  readonly gt?: ByteString | undefined
  readonly lte?: ByteString | undefined
  readonly lt?: ByteString | undefined
  readonly reverse?: boolean | undefined
  readonly limit?: number | undefined
}

/**
 * Keys in the order of their bytes, each with a value and perhaps a deadline in machine time. From its deadline on
 * an item is dead: absent from every read and capture. It is removed from memory some time later.
 *
 * An item is:
 * 1. a uvarint: twice the key's length, plus 1 for a key with a TTL;
 * 2. the key;
 * 3. for a key with a TTL, its deadline in machine time as a uvarint;
 * 4. the value.
 */
export class ExpiringItems implements Transaction {
  readonly #onExpired: ((key: ByteString, value: Uint8Array) => void) | undefined
  /** Machine time. Only entries of the log move it. */
  readonly #clock = new VirtualClock()
  readonly #parts = new ItemParts()
  readonly #writer = new ByteWriter()
  #tree = new PackedTree('keys')
  #leases: LeaseTable<ByteString>
  #sweeper: Sweeper<ByteString>
  /** What a transaction has written, and what it began with. */
  #written: { readonly keys: Set<ByteString>; readonly leases: LeaseTable<ByteString> } | undefined

  /** @param onExpired called when a dead item has been removed from memory, with a copy of its value */
  constructor(onExpired?: (key: ByteString, value: Uint8Array) => void) {
    this.#onExpired = onExpired
    this.#leases = new LeaseTable({ clock: this.#clock })
    this.#sweeper = this.#sweep(this.#leases)
  }

  /** The number of living items. */
  get size(): number {
    return this.#tree.size - this.#dead
  }

  /** Machine time, in milliseconds. */
  get timeMs(): number {
    return this.#clock.now()
  }

  /** The machine time at which an item dies next, or an earlier time; undefined if none ever does. */
  get dueMs(): number | undefined {
    return this.#leases.nextDeadlineMs
  }

  advance(timeMs: number): void {
    const byMs = timeMs - this.#clock.now()
    if (byMs > 0) this.#clock.advance(byMs)
  }

  /** The living item with this key: valid until the next call. */
  find(key: ByteString): ItemParts | undefined {
    if (!this.#tree.seek(key)) return undefined
    const parts = this.#partsAtCursor()
    return parts.deadlineMs > this.#clock.now() ? parts : undefined
  }

  /** The value of a living key: a view, valid until the next write. */
  get(key: ByteString): Uint8Array | undefined {
    return this.find(key)?.value
  }

  has(key: ByteString): boolean {
    return this.find(key) !== undefined
  }

  /** How long a living key still lives, in milliseconds: `Infinity` for one without a TTL. */
  ttl(key: ByteString): number | undefined {
    const parts = this.find(key)
    return parts && parts.deadlineMs - this.#clock.now()
  }

  /** From here on, remember how to undo writes. */
  begin(): void {
    this.#written = { keys: new Set(), leases: this.#leases }
    this.#tree.begin()
  }

  /** Keep what was written since `begin`. */
  commit(): void {
    this.#written = undefined
    this.#tree.commit()
  }

  /** Undo what was written since `begin`. */
  rollback(): void {
    const written = this.#written
    if (written === undefined) return
    this.#written = undefined
    this.#tree.rollback()
    if (written.leases !== this.#leases) this.#putLeases(written.leases)
    for (const key of written.keys) this.#renewLease(key)
  }

  /** Set a key, and end the TTL that it had. Returns whether it is new. `value` is copied. */
  set(key: ByteString, value: Uint8Array, ttlMs?: number): boolean {
    this.#written?.keys.add(key)
    if (this.#leases.size > 0) this.#endLease(key)
    const isNew = !this.#tree.seek(key)
    const item = this.#itemOf(key, value, ttlMs === undefined ? undefined : this.#leases.register(key, ttlMs))
    if (isNew) this.#tree.insert(item)
    else this.#tree.replace(item)
    return isNew
  }

  /** Returns whether the key was there. */
  delete(key: ByteString): boolean {
    this.#written?.keys.add(key)
    if (this.#leases.size > 0) this.#endLease(key)
    if (!this.#tree.seek(key)) return false
    this.#tree.remove()
    return true
  }

  /** Let a key live until it is deleted. Returns whether it had a TTL. */
  persist(key: ByteString): boolean {
    const parts = this.find(key)
    if (parts === undefined || parts.deadlineMs === Number.POSITIVE_INFINITY) return false
    this.#written?.keys.add(key)
    const item = this.#itemOf(key, parts.value, undefined)
    this.#leases.unregister(key)
    this.#tree.replace(item)
    return true
  }

  /** Remove everything. Returns how many items lived. */
  clear(): number {
    const { size } = this
    this.#tree.clear()
    // A transaction may need the old ones again.
    if (this.#written === undefined) this.#leases.clear()
    else this.#putLeases(new LeaseTable({ clock: this.#clock }))
    return size
  }

  /**
   * The living items of a range, as they are now: later writes do not show. Every step yields the same object with
   * other contents.
   */
  scan(range: KeyRange = {}): Generator<ItemParts, undefined> {
    return living(this.#tree.capture(), this.#clock.now(), range)
  }

  capture(): Snapshot {
    const timeMs = this.#clock.now()
    const parts = new ItemParts()
    return new TreeSnapshot(this.#tree, {
      count: this.#dead,
      is: (bytes, start, end) => parts.read(bytes, start, end).deadlineMs <= timeMs,
    })
  }

  /** @param onReplaced called after the new state has taken the place of this one */
  install(onReplaced: (size: number) => void): Installation {
    const leases = new LeaseTable<ByteString>({ clock: this.#clock })
    const builder = new TreeBuilder('keys', (bytes, start, end) => {
      const reader = new ByteReader(bytes, MalformedItem)
      reader.window(start, end)
      const key = reader.string(Math.floor(reader.uvarint() / 2))
      leases.registerUntil(key, reader.uvarint())
    })
    return {
      add: (items: Items) => builder.add(items),
      commit: () => {
        this.#tree = builder.finish()
        this.#putLeases(leases)
        onReplaced(this.#tree.size)
      },
    }
  }

  get #dead(): number {
    return this.#leases.mayHaveExpired() ? this.#leases.expired().length : 0
  }

  #itemOf(key: ByteString, value: Uint8Array, deadlineMs: number | undefined): Uint8Array {
    const writer = this.#writer
    writer.clear()
    writer.uvarint(key.length * 2 + (deadlineMs === undefined ? 0 : 1))
    writer.string(key)
    if (deadlineMs !== undefined) writer.uvarint(deadlineMs)
    writer.bytes(value)
    return writer.view()
  }

  #putLeases(leases: LeaseTable<ByteString>): void {
    this.#sweeper.stop()
    this.#leases = leases
    this.#sweeper = this.#sweep(leases)
  }

  /** Make the lease of a key what its item says. */
  #renewLease(key: ByteString): void {
    const deadlineMs = this.#tree.seek(key) ? this.#partsAtCursor().deadlineMs : Number.POSITIVE_INFINITY
    if (deadlineMs === Number.POSITIVE_INFINITY) this.#leases.unregister(key)
    else this.#leases.registerUntil(key, deadlineMs)
  }

  #partsAtCursor(): ItemParts {
    const { leaf, at } = this.#tree.cursor
    return this.#parts.read(leaf.bytes, leaf.itemStart(at), leaf.recordStart(at + 1))
  }

  /** Every write ends the lease that the key had. A key that was dead already is removed. */
  #endLease(key: ByteString): void {
    const dead = this.#leases.isExpired(key)
    if (dead !== undefined) this.#leases.unregister(key)
    if (dead) this.#removeExpired(key)
  }

  #removeExpired(key: ByteString): void {
    if (!this.#tree.seek(key)) return
    const value = this.#onExpired && this.#partsAtCursor().copyOfValue()
    this.#tree.remove()
    if (value !== undefined) this.#onExpired?.(key, value)
  }

  /** Remove dead items from memory soon after their deadline, in pieces that leave the event loop free. */
  #sweep(leases: LeaseTable<ByteString>): Sweeper<ByteString> {
    return new Sweeper({
      table: leases,
      clock: this.#clock,
      restMs: 0,
      onExpired: (key) => this.#removeExpired(key),
    })
  }
}

function* living(tree: PackedTree, timeMs: number, range: KeyRange): Generator<ItemParts, undefined> {
  const { reverse = false, limit = Number.POSITIVE_INFINITY } = range
  const parts = new ItemParts()
  let left = limit
  if (left === 0) return
  for (const { leaf, from, to } of tree.leaves({ ...placesOf(tree, range), reverse })) {
    for (let n = from; n < to; n++) {
      const i = reverse ? from + to - 1 - n : n
      parts.read(leaf.bytes, leaf.itemStart(i), leaf.recordStart(i + 1))
      if (parts.deadlineMs <= timeMs) continue
      yield parts
      if (--left === 0) return
    }
  }
}

/** The places that a range of keys has in a tree. */
function placesOf(tree: PackedTree, { gte, gt, lte, lt }: KeyRange): { from: number; to: number } {
  const below = (key: ByteString) => {
    tree.seek(key)
    return tree.place
  }
  const upTo = (key: ByteString) => (tree.seek(key) ? tree.place + 1 : tree.place)
  return {
    from: Math.max(gte === undefined ? 0 : below(gte), gt === undefined ? 0 : upTo(gt)),
    to: Math.min(lte === undefined ? tree.size : upTo(lte), lt === undefined ? tree.size : below(lt)),
  }
}
