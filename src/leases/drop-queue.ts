import { checkInteger, checkMs } from '../bounds.ts'
import { asError, warn } from '../thrown.ts'
import type { Clock, Timer } from '../time/clock.ts'

/** What a `DropQueue` is made of. */
export interface DropQueueInit {
  /** Says when a flush is due. */
  readonly clock: Clock
  /**
   * How many items are released in one turn of the event loop. As many queued requests also make a flush due.
   * Default 100.
   */
  readonly batchSize?: number
  /** A flush is due this long after the first request, in milliseconds. Default 50. */
  readonly flushMs?: number
  /** The most pending requests; further ones are refused. Default 10,000. */
  readonly capacity?: number
  /** How often a release is tried before it is given up. Default 3. */
  readonly attempts?: number
  /** A batch was released. */
  readonly onDropped?: (event: DroppedEvent) => void
  /** A release failed, or `list` or `indexOf` did. */
  readonly onFailed?: (event: DropFailedEvent) => void
}

/** Requests of one kind that a flush has released. */
export interface DroppedEvent {
  /** The name of the kind. */
  readonly kind: string
  /** How many items were released. */
  readonly count: number
  /** The bytes that this gave back, as `DropSource.release` said. */
  readonly bytes: number
}

/** A release that failed. */
export interface DropFailedEvent {
  /** The name of the kind. */
  readonly kind: string
  /** What was thrown. */
  readonly error: Error
  /** True if it is tried again with the next flush, false if it was given up. */
  readonly willRetry: boolean
}

/** What a `DropQueue` has done since it was made, and what it still has to do. */
export interface DropCounters {
  /** Items released. */
  readonly dropped: number
  /** Bytes that the releases gave back. */
  readonly bytes: number
  /** Items that were in use, or wanted again, when their turn came. */
  readonly spared: number
  /** Attempts that failed, whether tried again or given up. */
  readonly failed: number
  /** Requests that are not done yet. */
  readonly pending: number
}

/**
 * What the host tells the queue about one kind of item. Items are compared as `Map` compares keys. No method
 * may wait for the queue's `flush()` or `stop()`.
 */
export interface DropSource<T> {
  /** All items of this kind that exist now. */
  list(): Iterable<T>
  /** The item's place in the order that `dropBelow` and `keepLatest` use. No two items have the same. */
  indexOf(item: T): number
  /**
   * Whether the item is in use, wanted again, or gone. Called right before its release. A spared item leaves
   * the queue: queue it again when its use ends.
   */
  spared(item: T): boolean
  /**
   * Free the item, and return how many bytes that gave back. After this call the item must not be used. The
   * next batch waits until it has ended.
   */
  release(item: T): number | Promise<number>
}

/**
 * Queues requests for one kind of item. Each method returns false, and queues nothing, when the queue is full
 * or stopped.
 */
export interface DropKind<T> {
  /** Release this item. An item that is queued or being released already is released once. */
  drop(item: T): boolean
  /** Release all items below `index`. Of several such requests the highest `index` counts. */
  dropBelow(index: number): boolean
  /**
   * Release all items but the `n` latest. Items that are queued for release by then do not count among the
   * latest. Of several such requests the lowest `n` counts.
   */
  keepLatest(n: number): boolean
}

interface Kind<T> {
  readonly name: string
  readonly source: DropSource<T>
  /** The items to release, each with the number of failed attempts. */
  readonly items: Map<T, number>
  below: number
  keep: number
  /** How often `dropBelow` and `keepLatest` could not be resolved into items. */
  failures: number
}

/** No `dropBelow` is queued. */
const NOTHING_BELOW = Number.NEGATIVE_INFINITY
/** No `keepLatest` is queued. */
const KEEP_ALL = Number.POSITIVE_INFINITY

/**
 * Releases items that are no longer needed, off the hot path: in batches, kind by kind, with a turn of the
 * event loop between two batches. `dropBelow` and `keepLatest` are resolved into items when they are
 * executed, so they apply to items that came after the request too. Their items are queued even beyond the
 * capacity, because they exist already. A failed release does not affect the others.
 *
 *     const queue = new DropQueue({ clock, onDropped: ({ kind, bytes }) => freed(kind, bytes) })
 *     const files = queue.kind('checkpoint', { list, indexOf, spared, release })
 *     files.keepLatest(2)
 */
export class DropQueue {
  readonly #clock: Clock
  readonly #batchSize: number
  readonly #flushMs: number
  readonly #capacity: number
  readonly #attempts: number
  readonly #onDropped: ((event: DroppedEvent) => void) | undefined
  readonly #onFailed: ((event: DropFailedEvent) => void) | undefined
  readonly #kinds: Kind<unknown>[] = []
  readonly #counters = { dropped: 0, bytes: 0, spared: 0, failed: 0 }
  /** Requests since the last flush began. */
  #fresh = 0
  #timer: Timer | undefined
  /** The flush that is queued and has not begun. */
  #next: Promise<void> | undefined
  #last: Promise<void> = Promise.resolve()
  #stopped = false

  /** Throws `RangeError` for a setting out of bounds. */
  constructor(init: DropQueueInit) {
    const { clock, batchSize = 100, flushMs = 50, capacity = 10_000, attempts = 3 } = init
    for (const [name, value] of Object.entries({ batchSize, capacity, attempts }))
      checkInteger(name, value, 1)
    checkMs('flushMs', flushMs, 0)
    this.#clock = clock
    this.#batchSize = batchSize
    this.#flushMs = flushMs
    this.#capacity = capacity
    this.#attempts = attempts
    this.#onDropped = init.onDropped
    this.#onFailed = init.onFailed
  }

  /** Add a kind of item, for as long as the queue lives. Events name it by `name`. */
  kind<T>(name: string, source: DropSource<T>): DropKind<T> {
    const kind: Kind<T> = {
      name,
      source,
      items: new Map(),
      below: NOTHING_BELOW,
      keep: KEEP_ALL,
      failures: 0,
    }
    this.#kinds.push(kind)
    return {
      drop: (item) =>
        this.#request(kind.items.has(item), () => {
          kind.items.set(item, kind.items.get(item) ?? 0)
        }),
      dropBelow: (index) => {
        if (typeof index !== 'number' || Number.isNaN(index)) {
          throw new RangeError(`dropBelow was given ${index}; give a number`)
        }
        return this.#request(kind.below !== NOTHING_BELOW, () => {
          kind.below = Math.max(kind.below, index)
        })
      },
      keepLatest: (n) => {
        if (!Number.isInteger(n) || n < 0) {
          throw new RangeError(`keepLatest was given ${n}; give an integer from 0`)
        }
        return this.#request(kind.keep !== KEEP_ALL, () => {
          kind.keep = Math.min(kind.keep, n)
        })
      },
    }
  }

  /** What it has done so far, and what it still has to do: a copy. */
  get counters(): DropCounters {
    return { ...this.#counters, pending: this.#pending }
  }

  /** Resolves when every queued request was executed once. Failed ones wait for the next flush. */
  flush(): Promise<void> {
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => this.#execute())
      this.#last = this.#next
    }
    return this.#next
  }

  /** Refuse further requests. Resolves when every queued item was released, spared or given up. */
  async stop(): Promise<void> {
    this.#stopped = true
    do await this.flush()
    while (this.#pending > 0)
  }

  get #pending(): number {
    let pending = 0
    for (const { items, below, keep } of this.#kinds) {
      pending += items.size + Number(below !== NOTHING_BELOW) + Number(keep !== KEEP_ALL)
    }
    return pending
  }

  /** Take in a request. One that a queued request covers takes no place of its own. */
  #request(covered: boolean, queue: () => void): boolean {
    if (this.#stopped || (!covered && this.#pending >= this.#capacity)) return false
    queue()
    if (covered) return true
    this.#fresh++
    if (this.#fresh >= this.#batchSize) void this.flush()
    else this.#arm()
    return true
  }

  #arm(): void {
    this.#timer ??= this.#clock.schedule(this.#flushMs, () => void this.flush())
  }

  async #execute(): Promise<void> {
    // Never release in the caller's own turn.
    await this.#clock.turn()
    this.#timer?.cancel()
    this.#timer = this.#next = undefined
    this.#fresh = 0
    for (const kind of this.#kinds) {
      this.#resolve(kind)
      const items = [...kind.items.keys()]
      for (let at = 0; at < items.length; at += this.#batchSize) {
        await this.#releaseAll(kind, items.slice(at, at + this.#batchSize))
        await this.#clock.turn()
      }
    }
    if (this.#pending > 0) this.#arm()
  }

  /** Resolve `dropBelow` and `keepLatest` into items, and queue those. */
  #resolve<T>(kind: Kind<T>): void {
    const { source, items, below, keep } = kind
    if (below === NOTHING_BELOW && keep === KEEP_ALL) return
    kind.below = NOTHING_BELOW
    kind.keep = KEEP_ALL
    try {
      const there = Array.from(source.list())
        .filter((item) => !items.has(item))
        .map((item) => ({ item, index: source.indexOf(item) }))
        .sort((a, b) => a.index - b.index)
      for (const [at, { item, index }] of there.entries()) {
        if (index < below || at < there.length - keep) items.set(item, 0)
      }
      kind.failures = 0
    } catch (error) {
      const willRetry = ++kind.failures < this.#attempts
      if (willRetry) {
        kind.below = below
        kind.keep = keep
      } else kind.failures = 0
      this.#failed(kind.name, error, willRetry)
    }
  }

  async #releaseAll<T>(kind: Kind<T>, items: T[]): Promise<void> {
    const outcomes = await Promise.all(items.map((item) => this.#release(kind, item)))
    const freed = outcomes.filter((bytes) => bytes !== undefined)
    if (freed.length === 0) return
    const bytes = freed.reduce((sum, each) => sum + each, 0)
    this.#counters.dropped += freed.length
    this.#counters.bytes += bytes
    tell(this.#onDropped, { kind: kind.name, count: freed.length, bytes })
  }

  /** Resolves with the bytes freed, or undefined if the item was not released. */
  async #release<T>({ name, source, items }: Kind<T>, item: T): Promise<number | undefined> {
    try {
      if (source.spared(item)) {
        this.#counters.spared++
        items.delete(item)
        return undefined
      }
      const bytes = await source.release(item)
      items.delete(item)
      return bytes
    } catch (error) {
      const failures = (items.get(item) ?? 0) + 1
      const willRetry = failures < this.#attempts
      if (willRetry) items.set(item, failures)
      else items.delete(item)
      this.#failed(name, error, willRetry)
      return undefined
    }
  }

  #failed(kind: string, thrown: unknown, willRetry: boolean): void {
    this.#counters.failed++
    const error = asError(thrown)
    tell(this.#onFailed, { kind, error, willRetry })
  }
}

/** Call a listener. If it throws or its promise rejects, the error becomes a process warning. */
function tell<E>(listener: ((event: E) => void) | undefined, event: E): void {
  if (listener === undefined) return
  Promise.try(listener, event).catch((error) =>
    warn('ListenerFailed', 'a listener of the drop queue failed; the queue is unharmed', error),
  )
}
