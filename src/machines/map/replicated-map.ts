import { GuardedEvents } from '../../guarded-events.ts'
import { LeaseTable } from '../../leases/lease-table.ts'
import { Sweeper } from '../../leases/sweeper.ts'
import type { ByteString } from '../../machine/byte-string.ts'
import { type Codec, decodeWith, encodeWith, type Json, jsonCodec, stringCodec } from '../../machine/codec.ts'
import { AlreadyAttached, NotAttached } from '../../machine/errors.ts'
import type {
  CommandContext,
  Installation,
  MachineHost,
  Snapshot,
  StateMachine,
  SubmitOptions,
  Written,
} from '../../machine/machine.ts'
import { VirtualClock } from '../../time/virtual-clock.ts'
import { type ByteRange, type ByteTree, emptyTree, scan } from './byte-tree.ts'
import { type Command, decodeCommand } from './command.ts'
import { type ExpiringEntry, isAlive, liveValue, valueIn } from './entry.ts'
import { MapCommands, type TtlOption } from './map-commands.ts'
import { MapInstallation, MapSnapshot } from './map-snapshot.ts'

/** The version of the item format (map-snapshot.ts) and of the command format (command.ts). */
const FORMAT = 'map/2'

export interface ReplicatedMapInit<K, V> {
  /** Default: `stringCodec`, which orders keys by code point. Needed when `K` is not `string`. */
  readonly keys?: Codec<K>
  /** Default: `jsonCodec()`. */
  readonly values?: Codec<V>
  /** Part of the signature: replicas of maps with different names refuse each other. Default: none. */
  readonly name?: string
}

export interface MapRange<K> {
  /** Keys from this one on, itself included. */
  readonly gte?: K | undefined
  /** Keys after this one. */
  readonly gt?: K | undefined
  /** Keys up to this one, itself included. */
  readonly lte?: K | undefined
  /** Keys before this one. */
  readonly lt?: K | undefined
  /** Last key first. Default: false. */
  readonly reverse?: boolean | undefined
  /** The most entries to read, an integer from 0. Default: no limit. */
  readonly limit?: number | undefined
}

/** How to set something. */
export type SetOptions = SubmitOptions & TtlOption

export interface SetResult {
  /** Whether the key had a value before. */
  readonly replaced: boolean
}

export interface SetManyResult {
  /** How many keys had no value before. */
  readonly added: number
  /** How many values were replaced. */
  readonly replaced: number
}

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

export type MapEvents<K, V> = {
  /**
   * One for each key that a command set or deleted, after the whole command is applied; one for a whole
   * `clear`.
   */
  change: CustomEvent<MapChange<K, V>>
  /** A snapshot replaced the whole state. Its entries come without a `change`. */
  reset: CustomEvent<{ readonly size: number }>
}

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
export class ReplicatedMap<K = string, V = Json>
  extends GuardedEvents<MapEvents<K, V>>
  implements StateMachine<MapResult>
{
  readonly signature: string
  /** Makes the commands that the methods below submit, for programs that append to a log themselves. */
  readonly commands: MapCommands<K, V>
  readonly #keys: Codec<K>
  readonly #values: Codec<V>
  #tree = emptyTree()
  /** Machine time. Only entries of the log move it. */
  readonly #clock = new VirtualClock()
  #leases: LeaseTable<ByteString>
  #sweeper: Sweeper<ByteString>
  #host: MachineHost<MapResult> | undefined

  constructor(init: ReplicatedMapInit<K, V> = {}) {
    super()
    // The default codec is for K = string. It refuses a key of another type when that is written.
    this.#keys = init.keys ?? (stringCodec as unknown as Codec<K>)
    this.#values = init.values ?? jsonCodec<V>()
    this.commands = new MapCommands(this.#keys, this.#values)
    this.#leases = new LeaseTable({ clock: this.#clock })
    this.#sweeper = this.#sweep(this.#leases)
    const parts = { keys: this.#keys.name, values: this.#values.name, ...(init.name && { name: init.name }) }
    this.signature = [FORMAT, ...Object.entries(parts).map(([k, v]) => `${k}=${encodeURIComponent(v)}`)].join(
      ';',
    )
  }

  get size(): number {
    this.#assertReadable()
    return this.#size()
  }

  get(key: K): V | undefined {
    this.#assertReadable()
    const value = this.#live(this.#encodeKey(key))
    return value === undefined ? undefined : this.#decodeValue(value)
  }

  has(key: K): boolean {
    this.#assertReadable()
    return this.#live(this.#encodeKey(key)) !== undefined
  }

  /**
   * How long a key still lives, in milliseconds of machine time: `Infinity` for a key without a TTL,
   * undefined for one that is absent.
   */
  ttl(key: K): number | undefined {
    this.#assertReadable()
    const entry = this.#tree.get(this.#encodeKey(key))
    const timeMs = this.#clock.now()
    if (entry === undefined || !isAlive(entry, timeMs)) return undefined
    return typeof entry === 'string' ? Number.POSITIVE_INFINITY : entry.deadlineMs - timeMs
  }

  keys(): IteratorObject<K, undefined> {
    return this.#read({}, (key) => this.#decodeKey(key))
  }

  values(): IteratorObject<V, undefined> {
    return this.#read({}, (_key, value) => this.#decodeValue(value))
  }

  entries(): IteratorObject<[K, V], undefined> {
    return this.range()
  }

  [Symbol.iterator](): IteratorObject<[K, V], undefined> {
    return this.range()
  }

  /** The entries between two keys. Throws `RangeError` for a limit that is no integer from 0. */
  range(range: MapRange<K> = {}): IteratorObject<[K, V], undefined> {
    const { gte, gt, lte, lt, reverse, limit } = range
    if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) {
      throw new RangeError(`limit is ${limit}; give an integer from 0, or leave it out`)
    }
    const bound = (key: K | undefined) => (key === undefined ? undefined : this.#encodeKey(key))
    return this.#read(
      { gte: bound(gte), gt: bound(gt), lte: bound(lte), lt: bound(lt), reverse, limit },
      (key, value) => [this.#decodeKey(key), this.#decodeValue(value)],
    )
  }

  /**
   * With `ttlMs` the key dies by itself. Setting a key again, with or without `ttlMs`, replaces the TTL it
   * had.
   */
  async set(key: K, value: V, options?: SetOptions): Promise<Written<SetResult>> {
    return this.#write(this.commands.set(key, value, options), options)
  }

  /** Let a key live until it is deleted. The result says whether it had a TTL. */
  async persist(key: K, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.#write(this.commands.persist(key), options)
  }

  /** The result says whether there was anything to delete. */
  async delete(key: K, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.#write(this.commands.delete(key), options)
  }

  /**
   * All or nothing: one command, which must fit into one entry of the log. If a key is repeated, its last
   * value counts.
   */
  async setMany(entries: Iterable<readonly [K, V]>, options?: SetOptions): Promise<Written<SetManyResult>> {
    return this.#write(this.commands.setMany(entries, options), options)
  }

  /** All or nothing, like `setMany`. The result is how many keys were there and are deleted. */
  async deleteMany(keys: Iterable<K>, options?: SubmitOptions): Promise<Written<number>> {
    return this.#write(this.commands.deleteMany(keys), options)
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
    return this.#write(this.commands.compareAndSet(key, expected, value, options), options)
  }

  /** Delete every key there is when the command is applied. The result is their number. */
  async clear(options?: SubmitOptions): Promise<Written<number>> {
    return this.#write(this.commands.clear(), options)
  }

  /** Called by the replica. */
  attach(host: MachineHost<MapResult>): void {
    if (this.#host !== undefined) throw new AlreadyAttached()
    this.#host = host
  }

  /** Called by the replica, for each committed command. */
  apply(command: Uint8Array, context?: Pick<CommandContext, 'timeMs'>): MapResult {
    if (context !== undefined) this.advance(context.timeMs)
    const decoded = decodeCommand(command)
    if (this.listenerCount('change') === 0) return this.#execute(decoded)
    const changes: MapChange<K, V>[] = []
    const result = this.#execute(decoded, changes)
    for (const detail of changes) this.safeDispatchEvent('change', { detail })
    return result
  }

  /** Called by the replica, when machine time moved on. */
  advance(timeMs: number): void {
    const byMs = timeMs - this.#clock.now()
    if (byMs > 0) this.#clock.advance(byMs)
  }

  /** The machine time at which a key dies next, or an earlier time; undefined if none ever does. */
  get dueMs(): number | undefined {
    return this.#leases.nextDeadlineMs
  }

  /** Called by the replica. */
  capture(): Snapshot {
    return new MapSnapshot(this.#tree.clone(), this.#clock.now(), this.#size())
  }

  /** Called by the replica. */
  install(): Installation {
    return new MapInstallation(new LeaseTable({ clock: this.#clock }), (tree, leases) => {
      this.#sweeper.stop()
      this.#tree = tree
      this.#leases = leases
      this.#sweeper = this.#sweep(leases)
      this.safeDispatchEvent('reset', { detail: { size: tree.size } })
    })
  }

  #execute(command: Command, changes?: MapChange<K, V>[]): MapResult {
    switch (command.type) {
      case 'set':
        return this.#set(command.key, command.value, command.ttlMs, changes) ? ADDED : REPLACED
      case 'delete':
        return this.#delete(command.key, changes)
      case 'setMany': {
        let added = 0
        const { entries, ttlMs } = command
        for (const [key, value] of entries) if (this.#set(key, value, ttlMs, changes)) added++
        return { added, replaced: entries.length - added }
      }
      case 'deleteMany': {
        let deleted = 0
        for (const key of command.keys) if (this.#delete(key, changes)) deleted++
        return deleted
      }
      case 'compareAndSet': {
        const { key, expected, value, ttlMs } = command
        if (this.#live(key) !== expected) return false
        if (value !== undefined) this.#set(key, value, ttlMs, changes)
        else this.#delete(key, changes)
        return true
      }
      case 'clear': {
        const size = this.#size()
        this.#tree = emptyTree()
        this.#leases.clear()
        if (size > 0) changes?.push({ type: 'clear' })
        return size
      }
      case 'persist': {
        const entry = this.#tree.get(command.key)
        if (entry === undefined || typeof entry === 'string' || !isAlive(entry, this.#clock.now()))
          return false
        this.#leases.unregister(command.key)
        this.#tree.set(command.key, entry.value)
        return true
      }
    }
  }

  /** Whether the key is new. */
  #set(key: ByteString, value: ByteString, ttlMs: number | undefined, changes?: MapChange<K, V>[]): boolean {
    if (this.#leases.size > 0) this.#endLease(key, changes)
    changes?.push(this.#setChange(key, value, this.#live(key)))
    if (ttlMs === undefined) return this.#tree.set(key, value)
    const deadlineMs = this.#leases.register(key, ttlMs)
    return this.#tree.set(key, { value, deadlineMs })
  }

  /** Whether the key was there. */
  #delete(key: ByteString, changes?: MapChange<K, V>[]): boolean {
    if (this.#leases.size > 0) this.#endLease(key, changes)
    const entry = this.#tree.get(key)
    if (entry === undefined) return false
    changes?.push(this.#change('delete', key, valueIn(entry)))
    return this.#tree.delete(key)
  }

  /** Every write ends the lease that the key had. A key that was dead already is removed. */
  #endLease(key: ByteString, changes: MapChange<K, V>[] | undefined): void {
    const dead = this.#leases.isExpired(key)
    if (dead !== undefined) this.#leases.unregister(key)
    if (dead) this.#removeExpired(key, changes)
  }

  /** Remove a dead key from memory. */
  #removeExpired(key: ByteString, changes: MapChange<K, V>[] | undefined): void {
    const { value } = this.#tree.get(key) as ExpiringEntry
    this.#tree.delete(key)
    changes?.push(this.#change('expire', key, value))
  }

  /** Remove dead keys from memory soon after their deadline, in pieces that leave the event loop free. */
  #sweep(leases: LeaseTable<ByteString>): Sweeper<ByteString> {
    const onExpired = (key: ByteString) => {
      const changes: MapChange<K, V>[] = []
      this.#removeExpired(key, this.listenerCount('change') > 0 ? changes : undefined)
      for (const detail of changes) this.safeDispatchEvent('change', { detail })
    }
    return new Sweeper({ table: leases, clock: this.#clock, restMs: 0, onExpired })
  }

  /** The number of living keys. */
  #size(): number {
    return this.#tree.size - (this.#leases.mayHaveExpired() ? this.#leases.expired().length : 0)
  }

  #live(key: ByteString): ByteString | undefined {
    return liveValue(this.#tree.get(key), this.#clock.now())
  }

  #setChange(key: ByteString, value: ByteString, previous: ByteString | undefined): MapChange<K, V> {
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
        return previous === undefined ? undefined : map.#decodeValue(previous)
      },
    }
  }

  #change(type: 'delete' | 'expire', key: ByteString, previous: ByteString): MapChange<K, V> {
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

  // Not a generator itself: the tree is cloned now, not at the first `next()`.
  #read<T>(range: ByteRange, decode: (key: ByteString, value: ByteString) => T): Generator<T, undefined> {
    this.#assertReadable()
    return decoded(this.#tree.clone(), this.#clock.now(), range, decode)
  }

  #assertReadable(): void {
    this.#host?.assertReadable()
  }

  async #write<Result extends MapResult>(
    command: Uint8Array,
    options: SubmitOptions | undefined,
  ): Promise<Written<Result>> {
    if (this.#host === undefined) throw new NotAttached()
    return (await this.#host.submit(command, options)) as Written<Result>
  }

  #encodeKey(key: K): ByteString {
    return encodeWith(this.#keys, 'key', key)
  }

  #decodeKey(key: ByteString): K {
    return decodeWith(this.#keys, 'key', key)
  }

  #decodeValue(value: ByteString): V {
    return decodeWith(this.#values, 'value', value)
  }
}

function* decoded<T>(
  tree: ByteTree,
  timeMs: number,
  range: ByteRange,
  decode: (key: ByteString, value: ByteString) => T,
): Generator<T, undefined> {
  for (const [key, entry] of scan(tree, timeMs, range)) yield decode(key, valueIn(entry))
}
