import TinyQueue from 'tinyqueue'
import type { Clock } from '../time/clock.ts'

/** What happened to a lease. */
export interface LeaseTransition<K> {
  readonly type: 'created' | 'revived' | 'expired' | 'released'
  readonly key: K
  /** What its deadline was before; undefined for a new one. */
  readonly oldDeadlineMs: number | undefined
  /** What its deadline is now; undefined for one that is gone. */
  readonly deadlineMs: number | undefined
  /** Why, in a word: what the caller gave, or the name of the method. */
  readonly cause: string
}

export interface LeaseTableInit<K> {
  /** What `now` means. Default of every `nowMs` below. */
  readonly clock: Pick<Clock, 'now' | 'wallNow'>
  /** Hears of each transition, in order. What it throws is thrown away. */
  readonly audit?: (transition: LeaseTransition<K>) => void
  /** Tells a key from other data where a snapshot is read. Default: anything is a key. */
  readonly isKey?: (value: unknown) => value is K
}

/** A lease table as it is written down: plain data, which JSON keeps if it keeps the keys. */
export interface LeaseSnapshot<K> {
  readonly format: typeof FORMAT
  /** When it was taken, in wall-clock milliseconds since the Unix epoch. */
  readonly takenAtMs: number
  /** Each key and its deadline in the same time, rounded down; null for one that never ends. */
  readonly leases: readonly (readonly [key: K, deadlineMs: number | null])[]
}

const FORMAT = 1

/** Data that is no snapshot of a lease table. The table is as it was. */
export class MalformedLeases extends Error {
  override readonly name = 'MalformedLeases'
  constructor(reason: string) {
    super(`this is no snapshot of a lease table: ${reason}`)
  }
}

/** Keys whose deadlines are close together. */
interface Bucket<K> {
  /** By its start and its width. */
  readonly id: number
  /** Its index in the list of buckets. */
  readonly at: number
  /** No key in it is due before. */
  readonly startMs: number
  /** All are due by then, but for those that were revived. */
  readonly endMs: number
  readonly keys: K[]
  /** Those of the keys. */
  readonly slots: number[]
}

const SLOTS_INITIAL = 16
/** A slot as floats: the first is its deadline. */
const FLOATS = 2
/** A slot as integers: the first two are its deadline. */
const INTS = 4
/** The bucket it is in, or NONE if it is free or never comes due. */
const BUCKET = 2
/** Where in the bucket. */
const PLACE = 3
const NONE = -1
/** A bucket's width is at most this part of the time until it starts: 2 ** -10. */
const PRECISION_BITS = 10
/** Ids of buckets leave room for so many widths, each twice the one before. */
const WIDTHS = 64

/**
 * Keys that each live until a deadline: exact, in constant time per operation, however many there are.
 *
 * A deadline is a whole millisecond of the clock, rounded up. Keys due at about the same time share a bucket, and a binary
 * heap orders the buckets, not the keys. A bucket is as wide as a thousandth of the time until it is due, so a few
 * thousand of them are enough for any number of keys and any deadlines. When its time has come, what is due in it goes,
 * and the rest moves on to narrower ones. To revive a key only writes its deadline down: it too moves on when
 * its bucket comes up. So whoever looks for what has expired touches only what is due, or nearly, or was revived since it
 * would have been. It is the hierarchical timing wheel of Varghese and Lauck (1987, scheme 7) with a heap in the place of
 * the wheels, which has no range to exceed, and does nothing on a tick at which nothing is due.
 */
export class LeaseTable<K> implements Iterable<[key: K, deadlineMs: number]> {
  readonly #init: LeaseTableInit<K>
  readonly #slots = new Map<K, number>()
  // By slot, side by side, so that one look at memory brings all.
  #floats = new Float64Array(SLOTS_INITIAL * FLOATS)
  #ints = new Int32Array(this.#floats.buffer)
  /** By slot: 1 if its deadline was put off since it came into its bucket. Small enough to stay in the processor's cache. */
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

  /** How many keys there are, those included that have expired and were not evicted. */
  get size(): number {
    return this.#slots.size
  }

  /** No key expires before this; undefined when none ever will. A lower bound: keys that were revived may live longer. */
  get nextDeadlineMs(): number | undefined {
    return this.#order.peek()?.startMs
  }

  /** In constant time: false when nothing can have expired. */
  mayHaveExpired(nowMs: number = this.#init.clock.now()): boolean {
    const first = this.#order.peek()
    return first !== undefined && first.startMs <= nowMs
  }

  /**
   * Let a key live for `ttlMs` from now, whatever it had before. `Infinity` is a life without end. Returns the deadline.
   * Throws `RangeError` for a `ttlMs` below 0 or that is no number.
   */
  register(key: K, ttlMs: number, nowMs: number = this.#init.clock.now()): number {
    return this.#register(key, deadlineFor(ttlMs, nowMs), nowMs, 'registered')
  }

  /** Let a key live until `deadlineMs`, rounded up to a whole millisecond. Throws `RangeError` for what is no number. */
  registerUntil(key: K, deadlineMs: number, nowMs: number = this.#init.clock.now()): number {
    if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) {
      throw new RangeError(`deadlineMs is ${deadlineMs}; give a time of the clock`)
    }
    return this.#register(key, Math.ceil(deadlineMs), nowMs, 'registered')
  }

  /**
   * Let a key that is there live for `ttlMs` from now: also one that has expired, as long as it was not evicted. Returns
   * the deadline; undefined for an unknown key, which stays unknown. Throws like `register`.
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

  /** Forget a key. Returns whether it was there. */
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

  /** Forget all keys, in one go and without a transition for each. */
  clear(): void {
    // Whoever is evicting has one of these in hand.
    for (const bucket of this.#bucketsById.values()) bucket.slots.length = 0
    this.#slots.clear()
    this.#slotsUsed = 0
    this.#freeSlots = []
    this.#buckets = []
    this.#freeBuckets = []
    this.#bucketsById = new Map()
    this.#order = new TinyQueue<Bucket<K>>([], byStart)
  }

  has(key: K): boolean {
    return this.#slots.has(key)
  }

  /** When a key expires, or has; undefined for an unknown one. */
  deadlineOf(key: K): number | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : this.#floats[slot * FLOATS]
  }

  /** Whether a key's deadline has come; undefined for an unknown one. */
  isExpired(key: K, nowMs: number = this.#init.clock.now()): boolean | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : this.#floats[slot * FLOATS]! <= nowMs
  }

  /** Up to `limit` of the keys that have expired, in no order. They stay. */
  expired(limit = Number.POSITIVE_INFINITY, nowMs: number = this.#init.clock.now()): K[] {
    const keys: K[] = []
    // The heap as it lies in its array: the children of i are at 2i + 1 and 2i + 2, and no earlier than i.
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
   * Remove keys that have expired. Each is looked at again right before it goes, so that one which an earlier
   * `onEvicted` revived stays. Looks at no more than `limit` keys, those included that were revived or are nearly due: ask
   * `mayHaveExpired()` whether to go on. Returns how many went.
   *
   * @param onEvicted called for each, after it is gone; what it throws ends the call, and loses nothing
   */
  evictExpired(
    limit = Number.POSITIVE_INFINITY,
    nowMs: number = this.#init.clock.now(),
    onEvicted?: (key: K, deadlineMs: number) => void,
  ): number {
    const heard = this.#init.audit !== undefined || onEvicted !== undefined
    // Where nobody can interfere, all are deleted in one short loop: the processor then waits for several at a time.
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

  /** Every key with its deadline, those included that have expired and were not evicted, oldest key first. */
  *[Symbol.iterator](): Generator<[key: K, deadlineMs: number], undefined> {
    for (const [key, slot] of this.#slots) yield [key, this.#floats[slot * FLOATS]!]
  }

  /** What lives now, for `reload` in another life of this process. */
  toSnapshot(): LeaseSnapshot<K> {
    // In this order: time that passes between the two shortens lives.
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
   * Replace what is here by a snapshot, without what has expired meanwhile. No life gets longer: where the wall clock
   * was set back since, a key lives for what was left when the snapshot was taken, at most. Returns how many keys live.
   * Throws `MalformedLeases` for anything else, and then the table is as it was.
   */
  reload(snapshot: unknown): number {
    const { takenAtMs, leases } = parse(snapshot, this.#init.isKey)
    const { clock } = this.#init
    // In this order: time that passes between the two shortens lives.
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

  /** Call `listener` whenever `nextDeadlineMs` got earlier. One at a time: a sweeper that sleeps till then. */
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

  /** A later deadline is only written down; an earlier one must come up in time. */
  #move(key: K, slot: number, deadlineMs: number, nowMs: number): void {
    if (deadlineMs >= this.#floats[slot * FLOATS]!) {
      this.#floats[slot * FLOATS] = deadlineMs
      this.#putOff[slot] = 1
    } else {
      this.#unlink(slot)
      this.#link(key, slot, deadlineMs, nowMs)
    }
  }

  /** The first bucket that has come up and is not empty. */
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

  /** Put a slot into the bucket of its deadline. One that never comes is in none. */
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

  /** The last of its bucket takes its place. */
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
      // An auditor's mistake ends no lease and saves none.
    }
  }
}

function byStart(a: Bucket<unknown>, b: Bucket<unknown>): number {
  return a.startMs - b.startMs
}

function deadlineFor(ttlMs: number, nowMs: number): number {
  // Text would be put behind the time, and make a deadline in the far future.
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
