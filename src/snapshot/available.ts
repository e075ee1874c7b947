import { type DropKind, DropQueue } from '../leases/drop-queue.ts'
import { type LeaseSnapshot, LeaseTable } from '../leases/lease-table.ts'
import { Sweeper } from '../leases/sweeper.ts'
import { SnapshotReleased } from '../machine/errors.ts'
import type { Snapshot } from '../machine/machine.ts'
import { type Position, positionKey } from '../position.ts'
import type { Clock } from '../time/clock.ts'
import { cut } from './cut.ts'
import { CutSnapshot } from './cut-snapshot.ts'
import { type ChunkCoder, zstdCoder } from './encoding.ts'
import type { Manifest } from './manifest.ts'

export type ReleaseCause = 'expired' | 'withdrawn' | 'failed'

/** How a snapshot became, or stopped being, available. */
export type AvailableEvent =
  | { readonly type: 'captured'; readonly anchor: Position; readonly items: number }
  | { readonly type: 'cut'; readonly anchor: Position; readonly manifest: Manifest; readonly tookMs: number }
  | { readonly type: 'revived'; readonly anchor: Position; readonly remainingMs: number }
  /** It was offered before this process was started again, and is offered still. */
  | { readonly type: 'adopted'; readonly anchor: Position; readonly remainingMs: number }
  | {
      readonly type: 'released'
      readonly anchor: Position
      readonly cause: ReleaseCause
      /** Why it could not be cut, of one that failed. */
      readonly why?: string
    }
  /** The chunks of so many released snapshots are out of memory. */
  | { readonly type: 'freed'; readonly count: number; readonly bytes: number }

/** One snapshot this replica can serve. */
export interface Available {
  readonly anchor: Position
  readonly remainingMs: number
  /** All of it is cut. */
  readonly ready: boolean
  /** The cut, and fetches being answered. */
  readonly uses: number
}

/** A snapshot that was here once. */
export interface Released {
  readonly released: ReleaseCause
  /** Why it could not be cut, of one that failed. */
  readonly why: string | undefined
}

export interface AvailableInit {
  readonly clock: Clock
  /** How long a snapshot stays available after it was cut, or last revived, in milliseconds. */
  readonly ttlMs: number
  /** How chunks are encoded for the way. Default: zstd. */
  readonly coder?: ChunkCoder
  readonly onEvent?: (event: AvailableEvent) => void
}

export interface AddOptions {
  readonly control: Uint8Array
  readonly chunkBytes: number
  /** Begin to cut so much later, in milliseconds, unless somebody asks for the snapshot before. Default 0. */
  readonly cutDelayMs?: number
}

interface Held {
  readonly anchor: Position
  readonly stop: AbortController
  /** Begin to cut, if that has not begun. */
  readonly startNow: () => void
  readonly cut: CutSnapshot
  /** Settles when the snapshot is cut; rejects when it is released before. */
  readonly whenCut: Promise<Manifest>
  /** The cut, and fetches being answered: a snapshot does not expire under one, nor lose its chunks. */
  uses: number
  /** When it was captured, or somebody has last fetched from it. */
  fetchedAtMs: number
}

/** Keep-alives without a fetch hold an offer for so many TTLs at most. */
const KEEP_ALIVE_TTLS = 60

/** Released anchors that are remembered, so that a late request is told why there is nothing, and not UnknownAnchor. */
const RELEASED_MAX = 64

/**
 * The map from anchor to available snapshot. Each has a deadline, which fetches revive; one that nobody fetches
 * expires and its memory is given back, off the hot path. A snapshot does not expire while it is being cut or sent.
 */
export class AvailableSnapshots {
  readonly #init: AvailableInit
  readonly #held = new Map<string, Held>()
  readonly #released = new Map<string, Released>()
  /** The deadlines of those that nobody cuts or reads just now. */
  readonly #leases: LeaseTable<string>
  #sweeper: Sweeper<string> | undefined
  readonly #drops: DropQueue
  /** What is left of snapshots that were released. */
  readonly #remains: DropKind<Held>

  constructor(init: AvailableInit) {
    this.#init = init
    const { clock } = init
    this.#leases = new LeaseTable({ clock })
    this.#drops = new DropQueue({
      clock,
      onDropped: ({ count, bytes }) => this.#emit({ type: 'freed', count, bytes }),
    })
    this.#remains = this.#drops.kind('snapshot', {
      list: (): Held[] => [],
      indexOf: ({ anchor }) => anchor.index,
      spared: ({ uses }) => uses > 0,
      release: ({ cut }) => cut.release(),
    })
  }

  /** Take a captured snapshot over and cut it in the background. One that is held already is revived. */
  add(anchor: Position, source: Snapshot, options: AddOptions): void {
    const key = positionKey(anchor)
    if (this.revive(anchor) !== undefined) {
      release(source)
      return
    }
    const { clock, coder } = this.#init
    this.#begin()
    const stop = new AbortController()
    const beganMs = clock.now()
    const { promise: begin, resolve: startNow } = Promise.withResolvers<void>()
    if (options.cutDelayMs) clock.schedule(options.cutDelayMs, startNow)
    else startNow()
    const into = new CutSnapshot(coder ?? zstdCoder)
    const whenCut = begin.then(() => cut(source, into, { ...options, clock, signal: stop.signal }))
    const held: Held = { anchor, stop, startNow, cut: into, whenCut, uses: 1, fetchedAtMs: beganMs }
    this.#held.set(key, held)
    this.#emit({ type: 'captured', anchor, items: source.size })
    // The source is given back when nobody reads it any more: also of an anchor released meanwhile.
    whenCut.then(
      (manifest) => {
        release(source)
        this.#end(held)
        if (this.#held.get(key) !== held) return
        this.#emit({ type: 'cut', anchor, manifest, tookMs: clock.now() - beganMs })
      },
      (error: Error) => {
        release(source)
        if (this.#held.get(key) === held) this.#release(held, 'failed', error.message)
        this.#end(held)
      },
    )
  }

  /** Offer a snapshot again that this replica offered in an earlier life, for what is left of its own. */
  adopt(anchor: Position, cut: CutSnapshot, remainingMs: number): void {
    const key = positionKey(anchor)
    if (this.#held.has(key)) return
    const whenCut = Promise.resolve(cut.manifest!)
    this.#begin()
    this.#held.set(key, {
      anchor,
      stop: new AbortController(),
      startNow: () => {},
      cut,
      whenCut,
      uses: 0,
      fetchedAtMs: this.#init.clock.now(),
    })
    this.#leases.register(key, remainingMs)
    this.#emit({ type: 'adopted', anchor, remainingMs })
  }

  /** Every anchor and its deadline, for another life of this process: one that is in use lives for a TTL from now. */
  leases(): LeaseSnapshot<string> {
    const { clock, ttlMs } = this.#init
    const table = new LeaseTable<string>({ clock })
    for (const [key, { uses }] of this.#held) {
      if (uses > 0) table.register(key, ttlMs)
      else table.registerUntil(key, this.#leases.deadlineOf(key) ?? 0)
    }
    return table.toSnapshot()
  }

  /** The snapshot of an anchor; why it is here no more; undefined if it never was here. */
  get(anchor: Position): Available | Released | undefined {
    const held = this.#held.get(positionKey(anchor))
    return held === undefined ? this.#released.get(positionKey(anchor)) : this.#view(held)
  }

  /** All of them, oldest anchor first. */
  list(): Available[] {
    return [...this.#held.values()]
      .map((held) => this.#view(held))
      .sort((a, b) => a.anchor.index - b.anchor.index)
  }

  /** Resolves when the anchor's snapshot is cut. Undefined if it is not held. */
  whenCut(anchor: Position): Promise<Manifest> | undefined {
    return this.#held.get(positionKey(anchor))?.whenCut
  }

  /** The anchor's chunks, as far as they are cut. Undefined if it is not held. */
  chunks(anchor: Position): CutSnapshot | undefined {
    return this.#held.get(positionKey(anchor))?.cut
  }

  /** Somebody waits for this anchor: a cut that was put off begins. */
  startNow(anchor: Position): void {
    this.#held.get(positionKey(anchor))?.startNow()
  }

  /** Give an anchor a full TTL again. Returns how long it now lives, or undefined if it is not held. */
  revive(anchor: Position): number | undefined {
    const key = positionKey(anchor)
    if (!this.#held.has(key)) return undefined
    this.#leases.revive(key, this.#init.ttlMs)
    this.#emit({ type: 'revived', anchor, remainingMs: this.#init.ttlMs })
    return this.#init.ttlMs
  }

  /**
   * Give an anchor a full TTL again for somebody who fetches from others, and may come back to it. Undefined when nobody has
   * fetched from it for 60 TTLs: it then expires.
   */
  keepAlive(anchor: Position): number | undefined {
    const { clock, ttlMs } = this.#init
    const held = this.#held.get(positionKey(anchor))
    if (held === undefined || clock.now() - held.fetchedAtMs >= KEEP_ALIVE_TTLS * ttlMs) return undefined
    // One that is in use does not expire anyhow.
    return held.uses > 0 ? ttlMs : this.revive(anchor)
  }

  /** Keep an anchor from expiring until the returned function is called; then it has a full TTL. */
  use(anchor: Position): () => void {
    const key = positionKey(anchor)
    const held = this.#held.get(key)
    if (held === undefined) return () => {}
    held.uses++
    held.fetchedAtMs = this.#init.clock.now()
    this.#leases.unregister(key, 'used')
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#end(held)
    }
  }

  /** End an offer before its time, since nobody makes progress with it. */
  expire(anchor: Position, why: string): void {
    const held = this.#held.get(positionKey(anchor))
    if (held !== undefined) this.#release(held, 'expired', why)
  }

  /** Stop offering an anchor, or everything. */
  withdraw(anchor?: Position): void {
    for (const held of [...this.#held.values()]) {
      if (anchor === undefined || positionKey(held.anchor) === positionKey(anchor))
        this.#release(held, 'withdrawn')
    }
  }

  /** Stop offering everything, and end every timer. Resolves when the memory is given back. */
  async close(): Promise<void> {
    this.withdraw()
    this.#sweeper?.stop()
    this.#sweeper = undefined
    await this.#drops.flush()
  }

  #begin(): void {
    this.#sweeper ??= new Sweeper({
      table: this.#leases,
      clock: this.#init.clock,
      onExpired: (expired) => this.#release(this.#held.get(expired)!, 'expired'),
    })
  }

  #view({ anchor, cut, uses }: Held): Available {
    const { clock, ttlMs } = this.#init
    const deadlineMs = this.#leases.deadlineOf(positionKey(anchor))
    const remainingMs = deadlineMs === undefined ? ttlMs : Math.max(0, deadlineMs - clock.now())
    return { anchor, remainingMs, ready: cut.manifest !== undefined, uses }
  }

  #end(held: Held): void {
    if (--held.uses > 0) return
    const key = positionKey(held.anchor)
    if (this.#held.get(key) === held) this.#leases.register(key, this.#init.ttlMs)
    else this.#free(held)
  }

  #release(held: Held, cause: ReleaseCause, why?: string): void {
    const key = positionKey(held.anchor)
    this.#held.delete(key)
    this.#leases.unregister(key, cause)
    this.#released.set(key, { released: cause, why })
    for (const oldest of this.#released.keys()) {
      if (this.#released.size <= RELEASED_MAX) break
      this.#released.delete(oldest)
    }
    if (held.cut.manifest === undefined) held.stop.abort(new SnapshotReleased(' while it was being cut'))
    this.#emit({ type: 'released', anchor: held.anchor, cause, ...(why !== undefined && { why }) })
    this.#free(held)
  }

  /** One that is in use still is queued again when that ends. */
  #free(held: Held): void {
    if (held.uses === 0 && !this.#remains.drop(held)) held.cut.release()
  }

  #emit(event: AvailableEvent): void {
    this.#init.onEvent?.(event)
  }
}

/** A machine that throws here keeps nobody from what was cut: it has what it needs by then. */
function release(source: Snapshot): void {
  try {
    source.release()
  } catch (error) {
    const detail = error instanceof Error ? error.stack : String(error)
    process.emitWarning('a state machine could not release its snapshot; what was cut is unharmed', {
      type: 'ReleaseFailed',
      detail,
    })
  }
}
