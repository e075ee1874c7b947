import TinyQueue from 'tinyqueue'
import type { Clock } from '../time/clock.ts'
import { MalformedLeases } from './errors.ts'

/** What happened to a lease. */
export interface LeaseTransition<K> {
  /** `released`: it was removed before its time. */
  readonly type: 'created' | 'revived' | 'expired' | 'released'
  /** Whose lease it is. */
  readonly key: K
  /** The deadline before; undefined for a new lease. */
  readonly oldDeadlineMs: number | undefined
  /** The deadline now; undefined for a lease that is gone. */
  readonly deadlineMs: number | undefined
  /** The reason in a word: the caller's, or the name of the method. */
  readonly cause: string
}

/** What a `LeaseTable` is made of. */
export interface LeaseTableInit<K> {
  /** The clock of every `nowMs` below that is not given. */
  readonly clock: Pick<Clock, 'now' | 'wallNow'>
  /** Called for each transition, in order. Its errors are ignored. */
  readonly audit?: (transition: LeaseTransition<K>) => void
  /** Tells a key from other data when a snapshot is reloaded. Default: any value is a key. */
  readonly isKey?: (value: unknown) => value is K
}

/** A lease table as plain data. It survives JSON if its keys do. */
export interface LeaseSnapshot<K> {
  readonly format: typeof FORMAT
  /** When it was taken, in wall-clock milliseconds since the Unix epoch. */
  readonly takenAtMs: number
  /** Each key and its deadline in wall-clock milliseconds, rounded down; null for a lease without end. */
  readonly leases: readonly (readonly [key: K, deadlineMs: number | null])[]
}

/** The version of `LeaseSnapshot`. A snapshot of any other version is refused. */
const FORMAT = 1

/** Keys whose deadlines are close together. */
interface Bucket<K> {
  /** Made of its start and its width. */
  readonly id: number
  /** Its index in the list of buckets. */
  readonly at: number
  /** No key in it is due earlier. */
  readonly startMs: number
  /** Every key in it is due by then, except those that were revived. */
  readonly endMs: number
  readonly keys: K[]
  /** The slots of `keys`, in the same order. */
  readonly slots: number[]
}

/** Slots before the table first grows. */
const SLOTS_INITIAL = 16
/** The length of a slot in floats. The first float is its deadline. */
const FLOATS = 2
/** The length of a slot in integers. The first two are its deadline. */
const INTS = 4
/** The integer of a slot that holds its bucket's index; NONE if the slot is free or its key never expires. */
const BUCKET = 2
/** The integer of a slot that holds its place in the bucket. */
const PLACE = 3
/** No bucket. */
const NONE = -1
/** A bucket is at most 2 ** -10 as wide as the time until it starts. */
const PRECISION_BITS = 10
/** A bucket's id has room for this many widths, each twice the one before. */
const WIDTHS = 64

/**
 * Keys that each live until a deadline. It is exact, and takes constant time per operation for any number of
 * keys.
 *
 * A deadline is a whole millisecond of the clock, rounded up. Keys that are due at about the same time share
 * a bucket, and a binary heap orders the buckets, not the keys. A bucket is as wide as a thousandth of the
 * time until it is due, so a few thousand buckets are enough for any number of keys and any deadlines. When a
 * bucket comes up, its due keys are evicted, and the others move to narrower buckets. To revive a key only
 * writes its new deadline: the key moves on when its bucket comes up. So a search for expired keys touches
 * only keys that are due, nearly due, or were revived since.
 *
 * It is the hierarchical timing wheel of Varghese and Lauck (1987, scheme 7) with a heap in place of the
 * wheels. The heap has no range to exceed, and does nothing on a tick at which nothing is due.
 */
export class LeaseTable<K> implements Iterable<[key: K, deadlineMs: number]> {
  readonly #init: LeaseTableInit<K>
  readonly #slots = new Map<K, number>()
  // All fields of a slot are side by side, so that one memory access brings all.
  #floats = new Float64Array(SLOTS_INITIAL * FLOATS)
  #ints = new Int32Array(this.#floats.buffer)
  /**
   * For each slot, 1 if its deadline was put off since it came into its bucket. It is small enough for the
   * processor's cache.
   */
  #putOff = new Uint8Array(SLOTS_INITIAL)
  #slotsUsed = 0
  #freeSlots: number[] = []
  #buckets: (Bucket<K> | undefined)[] = []
  #freeBuckets: number[] = []
  #bucketsById = new Map<number, Bucket<K>>()
  #order = new TinyQueue<Bucket<K>>([], byStart)
  #onEarlier: (() => void) | undefined

  constructor(init: LeaseTableInit<K>) {
    this.#init = init
  }

  /** The number of keys, including expired ones that were not evicted yet. */
  get size(): number {
    return this.#slots.size
  }

  /**
   * No key expires earlier; undefined if none ever will. It is a lower bound: revived keys may live longer.
   */
  get nextDeadlineMs(): number | undefined {
    return this.#order.peek()?.startMs
  }

  /** Whether a key may have expired, in constant time. False is certain. */
  mayHaveExpired(nowMs: number = this.#init.clock.now()): boolean {
    const first = this.#order.peek()
    return first !== undefined && first.startMs <= nowMs
  }

  /**
   * Let a key live for `ttlMs` from now, in place of any deadline it had. `Infinity` means without end.
   * Returns the deadline. Throws `RangeError` if `ttlMs` is below 0 or is no number.
   */
  register(key: K, ttlMs: number, nowMs: number = this.#init.clock.now()): number {
    return this.#register(key, deadlineFor(ttlMs, nowMs), nowMs, 'registered')
  }

  /**
   * Let a key live until `deadlineMs`, rounded up to a whole millisecond. Throws `RangeError` if that is no
   * number.
   */
  registerUntil(key: K, deadlineMs: number, nowMs: number = this.#init.clock.now()): number {
    if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) {
      throw new RangeError(`deadlineMs is ${deadlineMs}; give a time of the clock`)
    }
    return this.#register(key, Math.ceil(deadlineMs), nowMs, 'registered')
  }

  /**
   * Let a known key live for `ttlMs` from now. An expired key that was not evicted yet is still known.
   * Returns the deadline, or undefined for an unknown key, which stays unknown. Throws like `register`.
   */
  revive(
    key: K,
    ttlMs: number,
    nowMs: number = this.#init.clock.now(),
    cause = 'revived',
  ): number | undefined {
    const deadlineMs = deadlineFor(ttlMs, nowMs)
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    const oldDeadlineMs = this.#floats[slot * FLOATS]!
    this.#move(key, slot, deadlineMs, nowMs)
    this.#tell('revived', key, oldDeadlineMs, deadlineMs, cause)
    return deadlineMs
  }

  /** Remove a key. Returns whether it was there. */
  unregister(key: K, cause = 'unregistered'): boolean {
    const slot = this.#slots.get(key)
    if (slot === undefined) return false
    const deadlineMs = this.#floats[slot * FLOATS]!
    this.#slots.delete(key)
    this.#unlink(slot)
    this.#freeSlots.push(slot)
    this.#tell('released', key, deadlineMs, undefined, cause)
    return true
  }

  /** Remove all keys, in one go and without a transition for each. */
  clear(): void {
    // An eviction that called `clear()` still holds one of these buckets, and must find it empty.
    for (const bucket of this.#bucketsById.values()) bucket.slots.length = 0
    this.#slots.clear()
    this.#slotsUsed = 0
    this.#freeSlots = []
    this.#buckets = []
    this.#freeBuckets = []
    this.#bucketsById = new Map()
    this.#order = new TinyQueue<Bucket<K>>([], byStart)
  }

  /** Whether a key is known. An expired one is, until it is evicted. */
  has(key: K): boolean {
    return this.#slots.has(key)
  }

  /** A key's deadline, which may have passed; undefined for an unknown key. */
  deadlineOf(key: K): number | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : this.#floats[slot * FLOATS]
  }

  /** Whether a key's deadline has come; undefined for an unknown key. */
  isExpired(key: K, nowMs: number = this.#init.clock.now()): boolean | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : this.#floats[slot * FLOATS]! <= nowMs
  }

  /** Up to `limit` expired keys, in no order. They are not evicted. */
  expired(limit = Number.POSITIVE_INFINITY, nowMs: number = this.#init.clock.now()): K[] {
    const keys: K[] = []
    // This is the heap's own array: the children of i are at 2i + 1 and 2i + 2, and start no earlier than i.
    const heap = this.#order.data
    const path = [0]
    for (let i = path.pop(); i !== undefined && keys.length < limit; i = path.pop()) {
      const bucket = heap[i]
      if (bucket === undefined || bucket.startMs > nowMs) continue
      path.push(2 * i + 1, 2 * i + 2)
      for (const [at, slot] of bucket.slots.entries()) {
        if (this.#floats[slot * FLOATS]! <= nowMs && keys.push(bucket.keys[at]!) >= limit) break
      }
    }
    return keys
  }

  /**
   * Evict keys that have expired. Each key is checked right before it goes, so a key that an earlier
   * `onEvicted` revived stays. The call looks at no more than `limit` keys; keys that were revived or are
   * nearly due count too. Ask `mayHaveExpired()` whether to go on. Returns how many keys went.
   *
   * @param onEvicted called for each key after it is gone; an error that it throws ends the call, and no key
   *   is lost
   */
  evictExpired(
    limit = Number.POSITIVE_INFINITY,
    nowMs: number = this.#init.clock.now(),
    onEvicted?: (key: K, deadlineMs: number) => void,
  ): number {
    const heard = this.#init.audit !== undefined || onEvicted !== undefined
    // Without listeners nothing can interfere, so all keys are deleted in one short loop: the processor then
    // overlaps their memory accesses.
    const unheard: K[] = []
    let evicted = 0
    let left = limit
    while (left > 0) {
      const bucket = this.#firstDue(nowMs)
      if (bucket === undefined) break
      const { keys, slots } = bucket
      const allDue = bucket.endMs <= nowMs
      for (; slots.length > 0 && left > 0; left--) {
        const key = keys.pop() as K
        const slot = slots.pop()!
        // The slot itself is mostly far away in memory, and looking at it costs as much as deleting the key.
        // So look at `#putOff` first.
        if ((!allDue || this.#putOff[slot] === 1) && this.#floats[slot * FLOATS]! > nowMs) {
          this.#link(key, slot, this.#floats[slot * FLOATS]!, nowMs)
          continue
        }
        this.#freeSlots.push(slot)
        evicted++
        if (!heard) {
          unheard.push(key)
          continue
        }
        this.#slots.delete(key)
        const deadlineMs = this.#floats[slot * FLOATS]!
        this.#tell('expired', key, deadlineMs, undefined, 'expired')
        onEvicted?.(key, deadlineMs)
      }
    }
    for (const key of unheard) this.#slots.delete(key)
    return evicted
  }

  /** Every key with its deadline, oldest key first, including expired keys that were not evicted yet. */
  *[Symbol.iterator](): Generator<[key: K, deadlineMs: number], undefined> {
    for (const [key, slot] of this.#slots) yield [key, this.#floats[slot * FLOATS]!]
  }

  /** The living keys, for `reload` in another life of this process. */
  toSnapshot(): LeaseSnapshot<K> {
    // The wall clock is read first: time that passes between the two readings shortens lives, and never
    // lengthens them.
    const takenAtMs = this.#init.clock.wallNow()
    const nowMs = this.#init.clock.now()
    const leases: [K, number | null][] = []
    for (const [key, deadlineMs] of this) {
      const wallMs = Math.floor(takenAtMs + (deadlineMs - nowMs))
      if (deadlineMs > nowMs) leases.push([key, wallMs === Number.POSITIVE_INFINITY ? null : wallMs])
    }
    return { format: FORMAT, takenAtMs, leases }
  }

  /**
   * Replace all keys with those of a snapshot, without those that have expired meanwhile. No key lives longer
   * than it would have: if the wall clock was set back since, a key lives at most for what was left when the
   * snapshot was taken. Returns the number of living keys. Throws `MalformedLeases` for other data, and the
   * table is then unchanged.
   */
  reload(snapshot: unknown): number {
    const { takenAtMs, leases } = parse(snapshot, this.#init.isKey)
    const { clock } = this.#init
    // The clock is read first: time that passes between the two readings shortens lives, and never lengthens
    // them.
    const nowMs = clock.now()
    const awayMs = Math.max(0, clock.wallNow() - takenAtMs)
    this.clear()
    for (const [key, deadlineMs] of leases) {
      const leftMs = (deadlineMs ?? Number.POSITIVE_INFINITY) - takenAtMs - awayMs
      const reloadedMs = Math.floor(nowMs + leftMs)
      if (reloadedMs > nowMs) this.#register(key, reloadedMs, nowMs, 'reloaded')
    }
    return this.size
  }

  /**
   * Call `listener` whenever `nextDeadlineMs` gets earlier. There is one listener at a time: the sweeper that
   * sleeps until then.
   */
  watch(listener: (() => void) | undefined): void {
    this.#onEarlier = listener
  }

  #register(key: K, deadlineMs: number, nowMs: number, cause: string): number {
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      slot = this.#takeSlot()
      this.#slots.set(key, slot)
      this.#link(key, slot, deadlineMs, nowMs)
      this.#tell('created', key, undefined, deadlineMs, cause)
    } else {
      const oldDeadlineMs = this.#floats[slot * FLOATS]!
      this.#move(key, slot, deadlineMs, nowMs)
      this.#tell('created', key, oldDeadlineMs, deadlineMs, cause)
    }
    return deadlineMs
  }

  /**
   * A later deadline is only written down. For an earlier one the key changes its bucket, to come up in time.
   */
  #move(key: K, slot: number, deadlineMs: number, nowMs: number): void {
    if (deadlineMs >= this.#floats[slot * FLOATS]!) {
      this.#floats[slot * FLOATS] = deadlineMs
      this.#putOff[slot] = 1
    } else {
      this.#unlink(slot)
      this.#link(key, slot, deadlineMs, nowMs)
    }
  }

  /** The first due bucket that is not empty. Empty ones before it are removed. */
  #firstDue(nowMs: number): Bucket<K> | undefined {
    for (;;) {
      const bucket = this.#order.peek()
      if (bucket === undefined || bucket.startMs > nowMs) return undefined
      if (bucket.slots.length > 0) return bucket
      this.#order.pop()
      this.#bucketsById.delete(bucket.id)
      this.#buckets[bucket.at] = undefined
      this.#freeBuckets.push(bucket.at)
    }
  }

  #takeSlot(): number {
    const free = this.#freeSlots.pop()
    if (free !== undefined) return free
    const slot = this.#slotsUsed++
    if (slot * FLOATS === this.#floats.length) {
      const slots = Math.ceil(slot * 1.5)
      const floats = new Float64Array(slots * FLOATS)
      floats.set(this.#floats)
      this.#floats = floats
      this.#ints = new Int32Array(floats.buffer)
      const putOff = new Uint8Array(slots)
      putOff.set(this.#putOff)
      this.#putOff = putOff
    }
    return slot
  }

  /** Put a slot into the bucket of its deadline. A slot without end is in no bucket. */
  #link(key: K, slot: number, deadlineMs: number, nowMs: number): void {
    this.#floats[slot * FLOATS] = deadlineMs
    if (deadlineMs === Number.POSITIVE_INFINITY) {
      this.#ints[slot * INTS + BUCKET] = NONE
      return
    }
    const bucket = this.#bucketFor(deadlineMs, nowMs)
    this.#putOff[slot] = 0
    this.#ints[slot * INTS + BUCKET] = bucket.at
    this.#ints[slot * INTS + PLACE] = bucket.slots.push(slot) - 1
    bucket.keys.push(key)
  }

  /** Take a slot out of its bucket. The bucket's last slot takes its place. */
  #unlink(slot: number): void {
    const at = this.#ints[slot * INTS + BUCKET]!
    if (at === NONE) return
    const { keys, slots } = this.#buckets[at]!
    const lastKey = keys.pop() as K
    const last = slots.pop()!
    if (last === slot) return
    const place = this.#ints[slot * INTS + PLACE]!
    keys[place] = lastKey
    slots[place] = last
    this.#ints[last * INTS + PLACE] = place
  }

  #bucketFor(deadlineMs: number, nowMs: number): Bucket<K> {
    const precise = Math.max(0, Math.ceil(Math.log2(deadlineMs - nowMs) - PRECISION_BITS)) || 0
    const doublings = Math.min(precise, WIDTHS - 1)
    const widthMs = 2 ** doublings
    const nth = Math.floor(deadlineMs / widthMs)
    const id = nth * WIDTHS + doublings
    const known = this.#bucketsById.get(id)
    if (known !== undefined) return known
    const at = this.#freeBuckets.pop() ?? this.#buckets.length
    const startMs = nth * widthMs
    const bucket: Bucket<K> = { id, at, startMs, endMs: startMs + widthMs - 1, keys: [], slots: [] }
    const first = this.#order.peek()
    this.#buckets[at] = bucket
    this.#bucketsById.set(id, bucket)
    this.#order.push(bucket)
    if (first === undefined || bucket.startMs < first.startMs) this.#onEarlier?.()
    return bucket
  }

  #tell(
    type: LeaseTransition<K>['type'],
    key: K,
    oldDeadlineMs: number | undefined,
    deadlineMs: number | undefined,
    cause: string,
  ): void {
    const { audit } = this.#init
    if (audit === undefined) return
    try {
      audit({ type, key, oldDeadlineMs, deadlineMs, cause })
    } catch {
      // An error of the audit function must not change any lease.
    }
  }
}

function byStart(a: Bucket<unknown>, b: Bucket<unknown>): number {
  return a.startMs - b.startMs
}

function deadlineFor(ttlMs: number, nowMs: number): number {
  // A string would be concatenated with the time, and give a deadline in the far future.
  if (!(typeof ttlMs === 'number' && ttlMs >= 0)) {
    throw new RangeError(`ttlMs is ${ttlMs}; give milliseconds from 0, or Infinity`)
  }
  return Math.ceil(nowMs + ttlMs)
}

function parse<K>(data: unknown, isKey: ((value: unknown) => value is K) | undefined): LeaseSnapshot<K> {
  if (typeof data !== 'object' || data === null) throw new MalformedLeases('it is no object')
  const { format, takenAtMs, leases } = data as Partial<LeaseSnapshot<K>>
  if (format !== FORMAT) throw new MalformedLeases(`its format is not ${FORMAT}`)
  if (!Number.isFinite(takenAtMs)) throw new MalformedLeases('it has no time when it was taken')
  if (!Array.isArray(leases)) throw new MalformedLeases('it has no list of leases')
  const seen = new Set<unknown>()
  for (const [i, lease] of leases.entries()) {
    if (!Array.isArray(lease) || lease.length !== 2) throw new MalformedLeases(`lease ${i} is no pair`)
    const [key, deadlineMs] = lease
    if (isKey !== undefined && !isKey(key)) throw new MalformedLeases(`lease ${i} has no key`)
    if (deadlineMs !== null && !Number.isFinite(deadlineMs)) {
      throw new MalformedLeases(`lease ${i} has no deadline`)
    }
    if (seen.has(key)) throw new MalformedLeases(`lease ${i} has the key of another one`)
    seen.add(key)
  }
  return { format, takenAtMs: takenAtMs as number, leases }
}
