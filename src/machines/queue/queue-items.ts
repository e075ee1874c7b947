import { type ByteString, byteStringOf, bytesOf } from '../../machine/byte-string.ts'
import { ByteWriter } from '../../machine/byte-writer.ts'
import type { Installation, Snapshot, Transaction } from '../../machine/machine.ts'
import { ExpiringItems, type KeyRange } from '../expiring-items.ts'
import { PackedTree } from '../tree/packed-tree.ts'
import { TreeBuilder } from '../tree/tree-builder.ts'
import { bracketEnd, placeIn } from './place.ts'
import { QueueInstallation } from './queue-installation.ts'
import { QueueParts } from './queue-parts.ts'
import { placesOf, scanQueue } from './queue-scan.ts'
import { QueueSnapshot } from './queue-snapshot.ts'

/** An end of the queue: the least priority, or the greatest. */
export type QueueEnd = 'min' | 'max'

/** Brackets (see place.ts) from one to another, or up to a number of items. */
export type BracketRange = KeyRange

/**
 * The items of a queue, in one tree in the order of their places, and the place of each key in another. All keys
 * and brackets are encoded. From its deadline on an item is dead: absent from every read and capture.
 *
 * A new item comes behind those of its priority: its number is one more than that of the last living one. So the
 * numbers follow from the living items alone, on every replica alike, and no counter is part of the state.
 */
export class QueueItems implements Transaction {
  readonly #onExpired: (item: ByteString) => void
  readonly #index = new ExpiringItems((_key, place) => this.#removeExpired(byteStringOf(place)))
  readonly #parts = new QueueParts()
  readonly #writer = new ByteWriter()
  #order = new PackedTree('keys')

  /** @param onExpired called with a copy of a dead item, when it has been removed from memory */
  constructor(onExpired: (item: ByteString) => void) {
    this.#onExpired = onExpired
  }

  /** The number of living items. */
  get size(): number {
    return this.#index.size
  }

  get dueMs(): number | undefined {
    return this.#index.dueMs
  }

  advance(timeMs: number): void {
    this.#index.advance(timeMs)
  }

  begin(): void {
    this.#index.begin()
    this.#order.begin()
  }

  commit(): void {
    this.#index.commit()
    this.#order.commit()
  }

  rollback(): void {
    this.#index.rollback()
    this.#order.rollback()
  }

  has(key: ByteString): boolean {
    return this.#index.has(key)
  }

  /** The living item with this key: valid until the next call. */
  find(key: ByteString): QueueParts | undefined {
    const place = this.#index.get(key)
    if (place === undefined || !this.#order.seek(byteStringOf(place))) return undefined
    return this.#readCursor()
  }

  /** The place of a living key: a view, valid until the next write. */
  placeOf(key: ByteString): Uint8Array | undefined {
    return this.#index.get(key)
  }

  ttl(key: ByteString): number | undefined {
    return this.#index.ttl(key)
  }

  /** Insert an item behind those of its priority, in place of any other with its key. */
  put(bracket: ByteString, key: ByteString, value: Uint8Array, ttlMs: number | undefined): void {
    if (this.find(key) !== undefined) this.#order.remove()
    // A dead item with this key would otherwise go when the place is found already.
    else if (this.dueMs !== undefined) this.#index.delete(key)
    const place = this.#seekBehind(bracket)
    const deadlineMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.#index.timeMs + ttlMs
    const writer = this.#begin(place, deadlineMs)
    writer.uvarint(key.length)
    writer.string(key)
    writer.bytes(value)
    this.#order.insert(writer.view())
    this.#index.set(key, bytesOf(place), ttlMs)
  }

  /** Move the item that was found last behind those of another priority. */
  move(key: ByteString, bracket: ByteString): void {
    const parts = this.#parts
    const { deadlineMs } = parts
    const content = parts.bytes.slice(parts.contentStart, parts.valueEnd)
    this.#order.remove()
    const place = this.#seekBehind(bracket)
    const writer = this.#begin(place, deadlineMs)
    writer.bytes(content)
    this.#order.insert(writer.view())
    const isMortal = deadlineMs !== Number.POSITIVE_INFINITY
    this.#index.set(key, bytesOf(place), isMortal ? deadlineMs - this.#index.timeMs : undefined)
  }

  /** Give the item that was found last another value. */
  replaceValue(value: Uint8Array): void {
    const parts = this.#parts
    const writer = this.#begin(byteStringOf(parts.bytes, parts.placeStart, parts.placeEnd), parts.deadlineMs)
    writer.bytes(parts.bytes.subarray(parts.contentStart, parts.valueStart))
    writer.bytes(value)
    this.#order.replace(writer.view())
  }

  /** Remove the item that was found last. */
  remove(key: ByteString): void {
    this.#order.remove()
    this.#index.delete(key)
  }

  /** The first living item at an end: the oldest of its priority. It counts as found. */
  first(end: QueueEnd): QueueParts | undefined {
    while (this.#order.size > 0) {
      this.#order.seekAt(end === 'min' ? 0 : this.#order.size - 1)
      let parts = this.#readCursor()
      if (end === 'max' && parts.number > 0) {
        this.#order.seek(parts.bracket)
        // The bracket may belong to the end of the leaf before.
        const { leaf, at } = this.#order.cursor
        if (at === leaf.length) this.#order.seekAt(this.#order.place)
        parts = this.#readCursor()
      }
      if (parts.deadlineMs > this.#index.timeMs) return parts
      this.#bury(parts)
    }
    return undefined
  }

  /** The first living item at an end, for readers: nothing is removed. */
  peek(end: QueueEnd): QueueParts | undefined {
    const range = { reverse: end === 'max', limit: 1 }
    return scanQueue(this.#order, this.#index.timeMs, range).next().value
  }

  /** Call `remove` with each living item of a range, first to last. It must remove it. Returns their number. */
  removeRange(range: BracketRange, remove: (parts: QueueParts) => void): number {
    const { from, to } = placesOf(this.#order, range)
    let removed = 0
    for (let left = to - from; left > 0; left--) {
      this.#order.seekAt(from)
      const parts = this.#readCursor()
      if (parts.deadlineMs > this.#index.timeMs) {
        removed++
        remove(parts)
      } else this.#bury(parts)
    }
    return removed
  }

  /** Remove everything. Returns how many items lived. */
  clear(): number {
    this.#order.clear()
    return this.#index.clear()
  }

  /**
   * The living items of a range, as they are now: later writes do not show. Every step yields the same object with
   * other contents.
   */
  scan(range: BracketRange): Generator<QueueParts, undefined> {
    return scanQueue(this.#order.capture(), this.#index.timeMs, range)
  }

  capture(): Snapshot {
    return new QueueSnapshot(this.#order.capture(), this.#index)
  }

  /** @param onReplaced called after the new state has taken the place of this one */
  install(onReplaced: (size: number) => void): Installation {
    return new QueueInstallation(new TreeBuilder('keys'), this.#index.install(onReplaced), (order) => {
      this.#order = order
    })
  }

  #readCursor(): QueueParts {
    const { leaf, at } = this.#order.cursor
    return this.#parts.readAt(leaf, at)
  }

  /**
   * Set the cursor behind the living items of a bracket, and return the place there. Dead ones behind those are
   * removed, because their numbers do not count.
   */
  #seekBehind(bracket: ByteString): ByteString {
    const order = this.#order
    for (;;) {
      order.seek(bracketEnd(bracket))
      const isFirstOfLeaf = order.cursor.at === 0
      const before = this.#readBefore()
      const isSame = before?.isIn(bracket) === true
      if (isSame && before.deadlineMs <= this.#index.timeMs) {
        this.#bury(before)
        continue
      }
      const place = placeIn(bracket, isSame ? before.number + 1 : 0)
      // The end of the bracket and this place may belong to different leaves.
      if (isFirstOfLeaf) order.seek(place)
      return place
    }
  }

  /** The item before the cursor, which does not stay where it is if that is in another leaf. */
  #readBefore(): QueueParts | undefined {
    const { leaf, at } = this.#order.cursor
    if (at > 0) return this.#parts.readAt(leaf, at - 1)
    const { place } = this.#order
    if (place === 0) return undefined
    this.#order.seekAt(place - 1)
    return this.#readCursor()
  }

  /** Remove a dead item: at once, and not at some later time. */
  #bury(parts: QueueParts): void {
    this.#index.delete(parts.key)
  }

  #removeExpired(place: ByteString): void {
    if (!this.#order.seek(place)) return
    const item = this.#readCursor().copy()
    this.#order.remove()
    this.#onExpired(item)
  }

  /** Begin to write an item. */
  #begin(place: ByteString, deadlineMs: number): ByteWriter {
    const writer = this.#writer
    const isMortal = deadlineMs !== Number.POSITIVE_INFINITY
    writer.clear()
    writer.uvarint(place.length * 2 + (isMortal ? 1 : 0))
    writer.string(place)
    if (isMortal) writer.uvarint(deadlineMs)
    return writer
  }
}
