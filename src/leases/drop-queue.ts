import { checkInteger, checkMs } from '../bounds.ts'
import { asError } from '../thrown.ts'
import type { Clock, Timer } from '../time/clock.ts'

export interface DropQueueInit {
  readonly clock: Clock
  /** Releases in one turn of the event loop, and queued requests that make a flush due. Default 100. */
  readonly batchSize?: number
  /** A flush is due so long after the first request, in milliseconds. Default 50. */
  readonly flushMs?: number
  /** Requests that are held; more are refused. Default 10,000. */
  readonly capacity?: number
  /** How often a release is tried. Default 3. */
  readonly attempts?: number
  /** A batch was released. */
  readonly onDropped?: (event: DroppedEvent) => void
  /** A release failed, or `list` or `indexOf` did. */
  readonly onFailed?: (event: DropFailedEvent) => void
}

export interface DroppedEvent {
  readonly kind: string
  readonly count: number
  readonly bytes: number
}

export interface DropFailedEvent {
  readonly kind: string
  readonly error: Error
  /** It is tried again with the next flush; otherwise it was given up. */
  readonly willRetry: boolean
}

export interface DropCounters {
  /** Items released. */
  readonly dropped: number
  /** Bytes that gave back. */
  readonly bytes: number
  /** Items that were in use, or wanted again, when their turn came. */
  readonly spared: number
  /** Attempts that failed, whether tried again or given up. */
  readonly failed: number
  /** Requests that are not done. */
  readonly pending: number
}

/**
 * What the host knows about one kind of thing. Items are told apart as a `Map` tells its keys apart. None of these
 * may wait for the queue's `flush()` or `stop()`.
 */
export interface DropSource<T> {
  /** What there is of this kind now. */
  list(): Iterable<T>
  /** The item's place in the order that `dropBelow` and `keepLatest` go by; no two have the same. */
  indexOf(item: T): number
  /**
   * The item is in use, wanted again, or gone. Asked right before its release. What is spared leaves the queue: whoever
   * ends its use queues it again.
   */
  spared(item: T): boolean
  /**
   * Frees the item; from this call on nobody may begin to use it. Says how many bytes that gave back. The next batch
   * waits until it has ended.
   */
  release(item: T): number | Promise<number>
}

/** Queues requests for one kind. Each says false, and queues nothing, when the queue is full or stopped. */
export interface DropKind<T> {
  /** Release this item. One that is queued already, or being released, is released once. */
  drop(item: T): boolean
  /** Release what lies below `index`. Of several such requests the highest counts. */
  dropBelow(index: number): boolean
  /**
   * Release all but the `n` latest; what is queued for release by then is not among them. Of several such requests
   * the lowest counts.
   */
  keepLatest(n: number): boolean
}

interface Kind<T> {
  readonly name: string
  readonly source: DropSource<T>
  /** What is to be released, and how often that has failed. */
  readonly items: Map<T, number>
  below: number
  keep: number
  /** How often finding what is below, or not among the latest, has failed. */
  failures: number
}

const NOTHING_BELOW = Number.NEGATIVE_INFINITY
const KEEP_ALL = Number.POSITIVE_INFINITY

/**
 * Releases what is no longer needed off the hot path, in batches, kind by kind; the event loop is free between two of
 * them. `dropBelow` and `keepLatest` are resolved when they are executed: what came since is judged too, and their
 * matches are queued whatever the capacity, for they are there already. A failed release harms no other.
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
  /** The flush that has not begun. */
  #next: Promise<void> | undefined
  #last: Promise<void> = Promise.resolve()
  #stopped = false

  /** Throws `RangeError` for an impossible setting. */
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

  /** Something that can be dropped, for as long as the queue lives. `name` is what events call it. */
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

  get counters(): DropCounters {
    return { ...this.#counters, pending: this.#pending }
  }

  /** Resolves when everything that is queued was executed once; what failed then waits for the next flush. */
  flush(): Promise<void> {
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => this.#execute())
      this.#last = this.#next
    }
    return this.#next
  }

  /** Refuses what comes from now on. Resolves when everything queued was released, spared or given up. */
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

  /** A request that one in the queue covers takes no place of its own. */
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
    // Never in the turn of who asked.
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

  /** Queue what lies below, or is not among the latest. */
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

/** A listener that throws, or whose promise rejects, harms nobody. */
function tell<E>(listener: ((event: E) => void) | undefined, event: E): void {
  if (listener === undefined) return
  Promise.try(listener, event).catch((error) => {
    const detail = error instanceof Error ? error.stack : String(error)
    process.emitWarning('a listener of the drop queue failed; the queue is unharmed', {
      type: 'ListenerFailed',
      detail,
    })
  })
}
