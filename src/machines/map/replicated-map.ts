import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import {
  type Codec,
  decodeBytes,
  decodeWith,
  encodeWith,
  type Json,
  jsonCodec,
  stringCodec,
} from '../../machine/codec.ts'
import type { SubmitOptions, Written } from '../../machine/machine.ts'
import type { KeyRange } from '../expiring-items.ts'
import { ExpiringMachine } from '../expiring-machine.ts'
import type { ItemParts } from '../item-parts.ts'
import { keyRangeOf, type Range } from '../range.ts'
import { type ChangeEvents, signatureOf } from '../replicated.ts'
import type { TtlOption } from '../ttl.ts'
import { decodeCommand } from './command.ts'
import { MapCommands, type SetManyResult, type SetResult } from './map-commands.ts'

export type { SetManyResult, SetResult } from './map-commands.ts'

/** The version of the item format (expiring-items.ts) and of the command format (command.ts). */
const FORMAT = 'map/2'

/** Options of a `ReplicatedMap`. */
export interface ReplicatedMapInit<K, V> {
  /** Default: `stringCodec`, which orders keys by code point. Needed when `K` is not `string`. */
  readonly keys?: Codec<K>
  /** Default: `jsonCodec()`. */
  readonly values?: Codec<V>
  /** Part of the signature: replicas of maps with different names refuse each other. Default: none. */
  readonly name?: string
}

/** Some entries, by their keys. */
export type MapRange<K> = Range<K>

/** How to set something. */
export type SetOptions = SubmitOptions & TtlOption

/** What `apply` returns; the method that wrote the command says which. */
export type MapResult = SetResult | SetManyResult | boolean | number

/**
 * One change of a map. Keys and values are decoded anew each time they are read; reading one that the codec
 * cannot decode throws `Undecodable`.
 */
export type MapChange<K, V> =
  | { readonly type: 'set'; readonly key: K; readonly value: V; readonly previous: V | undefined }
  | { readonly type: 'delete'; readonly key: K; readonly previous: V }
  /**
   * A key whose TTL had ended was removed from memory. That is some time after its death, and at a different
   * time on each replica.
   */
  | { readonly type: 'expire'; readonly key: K; readonly previous: V }
  | { readonly type: 'clear' }

/**
 * `change`: one for each key that a command set or deleted, after the whole command is applied; one for a whole
 * `clear`. `reset`: a snapshot replaced the whole state, and its entries come without a `change`.
 */
export type MapEvents<K, V> = ChangeEvents<MapChange<K, V>>

const ADDED: SetResult = Object.freeze({ replaced: false })
const REPLACED: SetResult = Object.freeze({ replaced: true })

/**
 * A map that every replica of a group holds, ordered by the bytes of the encoded keys.
 *
 * Reads are local and see what this replica has applied. Writes are appended to the group's log and resolve
 * when they are applied here; before a replica has taken the map over they reject with `NotAttached`. A write
 * rejects with `Unencodable` when a codec refuses its key or value, with `KeyTooLarge` when an encoded key
 * exceeds 64 KiB, and with the log's own errors (such as `EntryTooLarge`). Its `signal` stops the wait, not
 * the write.
 *
 * On a replica that has no state yet, because it waits for its first snapshot, reads throw `NotReadable`.
 *
 * A key that was set with `ttlMs` lives by machine time, which is the greatest timestamp in the log so far.
 * Once machine time reaches its deadline, the key is dead: for every read, and on every replica at the same
 * position. If no writes come, the leader moves machine time, at most once a second. So a death may be seen a
 * second late, and never early.
 *
 * An iterator reads the entries as they were when it began; later writes do not change it. A read throws
 * `Undecodable` when it meets bytes that the codec cannot read.
 *
 * Listeners of `change` and `reset` are called while the entry is being applied, so they should be quick. If
 * one throws, the error becomes a process warning and has no other effect.
 *
 * @example
 * ```ts
 * const cities = new ReplicatedMap<string, { name: string; population: number }>()
 * cities.addEventListener('change', ({ detail }) => console.log(detail.type))
 * // once createReplica({ machine: cities, … }) has taken it over:
 * await cities.set('CH/Bern', { name: 'Bern', population: 134_794 })
 * for (const [key, city] of cities.range({ gte: 'CH/', lt: 'CH0' })) console.log(key, city.name)
 * ```
 */
export class ReplicatedMap<K = string, V = Json> extends ExpiringMachine<MapChange<K, V>, MapResult> {
  /** `map/2` with the codecs' names and `name`: replicas with different ones refuse each other. */
  readonly signature: string
  /** Makes the commands that the methods below submit, for programs that append to a log themselves. */
  readonly commands: MapCommands<K, V>
  readonly #keys: Codec<K>
  readonly #values: Codec<V>

  constructor(init: ReplicatedMapInit<K, V> = {}) {
    super()
    // The default codec is for K = string. It refuses a key of another type when that is written.
    this.#keys = init.keys ?? (stringCodec as unknown as Codec<K>)
    this.#values = init.values ?? jsonCodec<V>()
    this.commands = new MapCommands(this.#keys, this.#values)
    this.signature = signatureOf(FORMAT, {
      keys: this.#keys.name,
      values: this.#values.name,
      name: init.name,
    })
  }

  /** The number of living keys. Throws `NotReadable` on a replica that has no state yet. */
  get size(): number {
    this.assertReadable()
    return this.items.size
  }

  /** The value of a key; undefined if it is absent or dead. Throws `Unencodable` for a key that the codec refuses. */
  get(key: K): V | undefined {
    this.assertReadable()
    const found = this.items.find(this.#encodeKey(key))
    return found && this.#valueIn(found)
  }

  /** Whether a key is there and alive. Throws like `get`. */
  has(key: K): boolean {
    this.assertReadable()
    return this.items.has(this.#encodeKey(key))
  }

  /**
   * How long a key still lives, in milliseconds of machine time: `Infinity` for a key without a TTL,
   * undefined for one that is absent.
   */
  ttl(key: K): number | undefined {
    this.assertReadable()
    return this.items.ttl(this.#encodeKey(key))
  }

  /** The encoded value of an encoded key. Of string keys and JSON values both are text. */
  query(key: Uint8Array): Uint8Array | undefined {
    this.assertReadable()
    return this.items.find(byteStringOf(key))?.copyOfValue()
  }

  /** All living keys, in the order of their encoded bytes. */
  keys(): IteratorObject<K, undefined> {
    return this.#read({}, (parts) => this.#keyIn(parts))
  }

  /** The values of all living keys, in the order of the keys. */
  values(): IteratorObject<V, undefined> {
    return this.#read({}, (parts) => this.#valueIn(parts))
  }

  /** All living entries, in the order of their keys: as `range()` without bounds. */
  entries(): IteratorObject<[K, V], undefined> {
    return this.range()
  }

  /** All living entries, as `entries()` gives them. */
  [Symbol.iterator](): IteratorObject<[K, V], undefined> {
    return this.range()
  }

  /** The entries between two keys. Throws `RangeError` for a limit that is no integer from 0. */
  range(range: MapRange<K> = {}): IteratorObject<[K, V], undefined> {
    return this.#read(
      keyRangeOf(range, (key) => this.#encodeKey(key)),
      (parts) => [this.#keyIn(parts), this.#valueIn(parts)],
    )
  }

  /**
   * With `ttlMs` the key dies by itself. Setting a key again, with or without `ttlMs`, replaces the TTL it
   * had.
   */
  async set(key: K, value: V, options?: SetOptions): Promise<Written<SetResult>> {
    return this.write(this.commands.set(key, value, options), options)
  }

  /** Let a key live until it is deleted. The result says whether it had a TTL. */
  async persist(key: K, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.persist(key), options)
  }

  /** The result says whether there was anything to delete. */
  async delete(key: K, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.delete(key), options)
  }

  /**
   * All or nothing: one command, which must fit into one entry of the log. If a key is repeated, its last
   * value counts.
   */
  async setMany(entries: Iterable<readonly [K, V]>, options?: SetOptions): Promise<Written<SetManyResult>> {
    return this.write(this.commands.setMany(entries, options), options)
  }

  /** All or nothing, like `setMany`. The result is how many keys were there and are deleted. */
  async deleteMany(keys: Iterable<K>, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.deleteMany(keys), options)
  }

  /**
   * Set `key` to `value` if its value is `expected` when the command is applied. `undefined` stands for the
   * absence of the key: as `expected` it means add only, as `value` it means delete. The encoded bytes are
   * compared, so JSON objects with another order of properties differ. The result says whether the value was
   * `expected`.
   */
  async compareAndSet(
    key: K,
    expected: V | undefined,
    value: V | undefined,
    options?: SetOptions,
  ): Promise<Written<boolean>> {
    return this.write(this.commands.compareAndSet(key, expected, value, options), options)
  }

  /** Delete every key there is when the command is applied. The result is their number. */
  async clear(options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.clear(), options)
  }

  protected obey(bytes: Uint8Array): MapResult {
    const command = decodeCommand(bytes)
    switch (command.type) {
      case 'set':
        return this.#set(command.key, command.value, command.ttlMs) ? ADDED : REPLACED
      case 'delete':
        return this.#delete(command.key)
      case 'setMany': {
        let added = 0
        const { entries, ttlMs } = command
        for (const [key, value] of entries) if (this.#set(key, value, ttlMs)) added++
        return { added, replaced: entries.length - added }
      }
      case 'deleteMany': {
        let deleted = 0
        for (const key of command.keys) if (this.#delete(key)) deleted++
        return deleted
      }
      case 'compareAndSet': {
        const { key, expected, value, ttlMs } = command
        if (!this.holds(key, expected)) return false
        if (value !== undefined) this.#set(key, value, ttlMs)
        else this.#delete(key)
        return true
      }
      case 'clear': {
        const size = this.items.clear()
        if (size > 0) this.note({ type: 'clear' })
        return size
      }
      case 'persist':
        return this.items.persist(command.key)
    }
  }

  /** Whether the key is new. */
  #set(key: ByteString, value: Uint8Array, ttlMs: number | undefined): boolean {
    if (!this.isHeard) return this.items.set(key, value, ttlMs)
    const previous = this.items.find(key)?.copyOfValue()
    const isNew = this.items.set(key, value, ttlMs)
    this.note(this.#setChange(key, new Uint8Array(value), previous))
    return isNew
  }

  /** Whether the key was there. */
  #delete(key: ByteString): boolean {
    const previous = this.isHeard ? this.items.find(key)?.copyOfValue() : undefined
    const isDeleted = this.items.delete(key)
    if (previous !== undefined) this.note(this.#change('delete', key, previous))
    return isDeleted
  }

  protected expiry(key: ByteString, previous: Uint8Array): MapChange<K, V> {
    return this.#change('expire', key, previous)
  }

  #setChange(key: ByteString, value: Uint8Array, previous: Uint8Array | undefined): MapChange<K, V> {
    const map = this
    return {
      type: 'set',
      get key() {
        return map.#decodeKey(key)
      },
      get value() {
        return map.#decodeValue(value)
      },
      get previous() {
        return previous && map.#decodeValue(previous)
      },
    }
  }

  #change(type: 'delete' | 'expire', key: ByteString, previous: Uint8Array): MapChange<K, V> {
    const map = this
    return {
      type,
      get key() {
        return map.#decodeKey(key)
      },
      get previous() {
        return map.#decodeValue(previous)
      },
    }
  }

  // Not a generator itself: the items are captured now, not at the first `next()`.
  #read<T>(range: KeyRange, decode: (parts: ItemParts) => T): Generator<T, undefined> {
    this.assertReadable()
    return decoded(this.items.scan(range), decode)
  }

  #encodeKey(key: K): ByteString {
    return encodeWith(this.#keys, 'key', key)
  }

  #decodeKey(key: ByteString): K {
    return decodeWith(this.#keys, 'key', key)
  }

  #decodeValue(value: Uint8Array): V {
    return decodeBytes(this.#values, 'value', value)
  }

  #keyIn({ bytes, keyStart, keyEnd }: ItemParts): K {
    return decodeBytes(this.#keys, 'key', bytes, keyStart, keyEnd)
  }

  #valueIn({ bytes, valueStart, valueEnd }: ItemParts): V {
    return decodeBytes(this.#values, 'value', bytes, valueStart, valueEnd)
  }
}

function* decoded<T>(items: Iterable<ItemParts>, decode: (parts: ItemParts) => T): Generator<T, undefined> {
  for (const parts of items) yield decode(parts)
}
