import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import { type Codec, encodeWith, type Json, jsonCodec, stringCodec } from '../../machine/codec.ts'
import type { Installation, Snapshot, SubmitOptions, Transaction, Written } from '../../machine/machine.ts'
import { numberCodec } from '../../machine/number-codec.ts'
import { keyRangeOf, type Range } from '../range.ts'
import { type ChangeEvents, Replicated, signatureOf } from '../replicated.ts'
import type { TtlOption } from '../ttl.ts'
import { bracketOf } from './place.ts'
import type { QueueChange } from './queue-change.ts'
import { QueueCodecs } from './queue-codecs.ts'
import { type PriorityRange, QueueCommands } from './queue-commands.ts'
import type { QueueItem } from './queue-item.ts'
import type { QueueEnd } from './queue-items.ts'
import type { QueueParts } from './queue-parts.ts'
import { type ExtendResult, type InsertResult, type QueueResult, QueueState } from './queue-state.ts'

/** The version of the item formats (queue-snapshot.ts) and of the command format (command.ts). */
const FORMAT = 'queue/1'

/** Options of a `ReplicatedPriorityQueue`. */
export interface ReplicatedPriorityQueueInit<P, K, V> {
  /** The order of its bytes is the order of the queue. Default: `numberCodec`. Needed when `P` is not `number`. */
  readonly priorities?: Codec<P>
  /** Default: `stringCodec`. Needed when `K` is not `string`. */
  readonly keys?: Codec<K>
  /** Default: `jsonCodec()`. */
  readonly values?: Codec<V>
  /** Part of the signature: replicas of queues with different names refuse each other. Default: none. */
  readonly name?: string
}

/** How to pop several items. */
export interface PopManyOptions extends SubmitOptions {
  /** The end to pop from. Default: 'min'. */
  readonly end?: QueueEnd
}

/**
 * `change`: one for each item that a command inserted, changed or removed, after the whole command is applied; one
 * for a whole `clear`. `reset`: a snapshot replaced the whole queue, and its items come without a `change`.
 */
export type QueueEvents<P, K, V> = ChangeEvents<QueueChange<P, K, V>>

/**
 * A priority queue with two ends that every replica of a group holds. Each item has a priority, a key that no other
 * item has, and a value. Priorities are ordered by their encoded bytes.
 *
 * Items of one priority come in the order of their insertion, whichever end they are taken from: `popMax` takes the
 * oldest item of the greatest priority. `insert` of a key that is there puts it behind all others of its priority,
 * like a new one. So does `setPriority` to another priority; to the one it has, it changes nothing. `setValue` and
 * `compareAndSet` leave an item where it is. Only `insert` and `extend` set a TTL; all else leaves it as it is.
 *
 * A pop is a write like any other: all replicas remove the same item, and only the caller is given it. So each item
 * goes to one caller. A caller that dies after its pop takes the item with it.
 *
 * Reads are local and see what this replica has applied. Writes are appended to the group's log and resolve
 * when they are applied here; before a replica has taken the queue over they reject with `NotAttached`. A write
 * rejects with `Unencodable` when a codec refuses a part, or a priority has more than 16 KiB, with `KeyTooLarge` when
 * an encoded key exceeds 64 KiB, and with the log's own errors (such as `EntryTooLarge`). Its `signal` stops the
 * wait, not the write. A key that is not there, and a pop of an empty queue, are no errors: the result says so.
 *
 * On a replica that has no state yet, because it waits for its first snapshot, reads throw `NotReadable`. A read
 * throws `Undecodable` when it meets bytes that the codec cannot read. An iterator reads the items as they were when
 * it began; later writes do not change it.
 *
 * An item that was inserted with `ttlMs` lives by machine time, as the keys of a `ReplicatedMap` do. A dead item is
 * never read or popped.
 *
 * Listeners of `change` and `reset` are called while the entry is being applied, so they should be quick. If
 * one throws, the error becomes a process warning and has no other effect.
 *
 * @example
 * ```ts
 * const jobs = new ReplicatedPriorityQueue<number, string, { url: string }>()
 * // once createReplica({ machine: jobs, … }) has taken it over:
 * await jobs.insert(10, 'front page', { url: 'https://example.org/' })
 * await jobs.insert(1, 'archive', { url: 'https://example.org/archive' }, { ttlMs: 60_000 })
 * const { result: job } = await jobs.popMax()
 * if (job !== undefined) console.log(job.key, job.value.url)
 * ```
 */
export class ReplicatedPriorityQueue<P = number, K = string, V = Json> extends Replicated<
  QueueChange<P, K, V>,
  QueueResult<P, K, V>
> {
  /** `queue/1` with the codecs' names and `name`: replicas with different ones refuse each other. */
  readonly signature: string
  /** Makes the commands that the methods below submit, for programs that append to a log themselves. */
  readonly commands: QueueCommands<P, K, V>
  readonly #codecs: QueueCodecs<P, K, V>
  readonly #state: QueueState<P, K, V>

  constructor(init: ReplicatedPriorityQueueInit<P, K, V> = {}) {
    super()
    // The default codecs are for P = number and K = string. They refuse what is of another type when it is written.
    const priorities = init.priorities ?? (numberCodec as unknown as Codec<P>)
    const keys = init.keys ?? (stringCodec as unknown as Codec<K>)
    this.#codecs = new QueueCodecs(priorities, keys, init.values ?? jsonCodec<V>())
    this.#state = new QueueState(this.#codecs, (change) => this.tell(change))
    this.commands = new QueueCommands(this.#codecs)
    this.signature = signatureOf(FORMAT, {
      priorities: priorities.name,
      keys: keys.name,
      values: this.#codecs.values.name,
      name: init.name,
    })
  }

  /** The number of living items. Throws `NotReadable` on a replica that has no state yet. */
  get size(): number {
    this.assertReadable()
    return this.#state.items.size
  }

  /** The value of the item with this key; undefined if there is none. Throws like `has`. */
  get(key: K): V | undefined {
    this.assertReadable()
    const found = this.#state.items.find(this.#encodeKey(key))
    return found && this.#codecs.valueIn(found)
  }

  /** The encoded value of the item with an encoded key. Of string keys and JSON values both are text. */
  query(key: Uint8Array): Uint8Array | undefined {
    this.assertReadable()
    const found = this.#state.items.find(byteStringOf(key))
    return found?.bytes.slice(found.valueStart, found.valueEnd)
  }

  /** Whether a living item has this key. Throws `Unencodable` for a key that the codec refuses. */
  has(key: K): boolean {
    this.assertReadable()
    return this.#state.items.has(this.#encodeKey(key))
  }

  /** The priority of the item with this key; undefined if there is none. Throws like `has`. */
  priority(key: K): P | undefined {
    this.assertReadable()
    const place = this.#state.items.placeOf(this.#encodeKey(key))
    return place && this.#codecs.priorityOf(place)
  }

  /**
   * How long an item still lives, in milliseconds of machine time: `Infinity` for one without a TTL, undefined if no
   * item has this key.
   */
  ttl(key: K): number | undefined {
    this.assertReadable()
    return this.#state.items.ttl(this.#encodeKey(key))
  }

  /** The item that `popMin` would take: the oldest one of the least priority. */
  peekMin(): QueueItem<P, K, V> | undefined {
    return this.#peek('min')
  }

  /** The item that `popMax` would take: the oldest one of the greatest priority. */
  peekMax(): QueueItem<P, K, V> | undefined {
    return this.#peek('max')
  }

  /**
   * The items between two priorities, in the order in which `popMin` would take them; with `reverse`, `popMax`.
   * Throws `RangeError` for a limit that is no integer from 0.
   */
  range(range: Range<P> = {}): IteratorObject<QueueItem<P, K, V>, undefined> {
    const brackets = keyRangeOf(range, (priority) => bracketOf(this.#codecs.encodePriority(priority)))
    this.assertReadable()
    // The items are captured now, not at the first `next()`.
    return this.#state.items.scan(brackets).map((parts) => this.#decode(parts))
  }

  /** All living items, in the order in which `popMin` would take them: as `range()` without bounds. */
  [Symbol.iterator](): IteratorObject<QueueItem<P, K, V>, undefined> {
    return this.range()
  }

  /**
   * Add an item, in place of any that has its key. With `ttlMs` it dies by itself. A replaced item's TTL ends with
   * it.
   */
  async insert(
    priority: P,
    key: K,
    value: V,
    options?: SubmitOptions & TtlOption,
  ): Promise<Written<InsertResult>> {
    return this.write(this.commands.insert(priority, key, value, options), options)
  }

  /**
   * Insert many items, in order. All or nothing: one command, which must fit into one entry of the log. If a key is
   * repeated, its last item counts.
   */
  async extend(
    items: Iterable<readonly [priority: P, key: K, value: V]>,
    options?: SubmitOptions & TtlOption,
  ): Promise<Written<ExtendResult>> {
    return this.write(this.commands.extend(items, options), options)
  }

  /** Move an item behind those of another priority. The result says whether there is an item with this key. */
  async setPriority(key: K, priority: P, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.setPriority(key, priority), options)
  }

  /** Change an item's value where it stands. The result says whether there is an item with this key. */
  async setValue(key: K, value: V, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.setValue(key, value), options)
  }

  /**
   * Change an item's value to `value` if it is `expected` when the command is applied; with `undefined`, delete the
   * item then. The encoded bytes are compared, so JSON objects with another order of properties differ. The result
   * says whether there was an item with this key, and its value was `expected`.
   */
  async compareAndSet(
    key: K,
    expected: V,
    value: V | undefined,
    options?: SubmitOptions,
  ): Promise<Written<boolean>> {
    return this.write(this.commands.compareAndSet(key, expected, value), options)
  }

  /** The result says whether there was anything to delete. */
  async delete(key: K, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.delete(key), options)
  }

  /** Delete all items between two priorities. The result is their number. */
  async deleteRange(range: PriorityRange<P>, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.deleteRange(range), options)
  }

  /** Delete every item there is when the command is applied. The result is their number. */
  async clear(options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.clear(), options)
  }

  /**
   * Take the oldest item of the least priority. The result is the item, or undefined if the queue was empty. It is
   * undefined, too, if an installed snapshot covered the write: the item is lost then. `popMany(1)` tells the two
   * apart.
   */
  async popMin(options?: SubmitOptions): Promise<Written<QueueItem<P, K, V>>> {
    return this.write(this.commands.popMin(), options)
  }

  /** Take the oldest item of the greatest priority; otherwise like `popMin`. */
  async popMax(options?: SubmitOptions): Promise<Written<QueueItem<P, K, V>>> {
    return this.write(this.commands.popMax(), options)
  }

  /** Take up to `count` items from one end. The result is a list of them, empty if the queue was. */
  async popMany(
    count: number,
    options: PopManyOptions = {},
  ): Promise<Written<readonly QueueItem<P, K, V>[]>> {
    return this.write(this.commands.popMany(count, options.end), options)
  }

  /** Called by the replica, when machine time moved on. */
  advance(timeMs: number): void {
    this.#state.items.advance(timeMs)
  }

  /** The machine time at which an item dies next, or an earlier time; undefined if none ever does. */
  get dueMs(): number | undefined {
    return this.#state.items.dueMs
  }

  /** Called by the replica. */
  capture(): Snapshot {
    return this.#state.items.capture()
  }

  /** Called by the replica. */
  install(): Installation {
    return this.#state.items.install((size) => this.tellReset(size))
  }

  protected override get undoable(): readonly Transaction[] {
    return [this.#state.items]
  }

  protected execute(command: Uint8Array, changes: QueueChange<P, K, V>[] | undefined): QueueResult<P, K, V> {
    return this.#state.execute(command, changes)
  }

  #peek(end: QueueEnd): QueueItem<P, K, V> | undefined {
    this.assertReadable()
    const found = this.#state.items.peek(end)
    return found && this.#decode(found)
  }

  #decode(parts: QueueParts): QueueItem<P, K, V> {
    return {
      priority: this.#codecs.priorityIn(parts),
      key: this.#codecs.keyIn(parts),
      value: this.#codecs.valueIn(parts),
    }
  }

  #encodeKey(key: K): ByteString {
    return encodeWith(this.#codecs.keys, 'key', key)
  }
}
