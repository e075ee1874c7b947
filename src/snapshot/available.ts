import { type DropKind, DropQueue } from '../leases/drop-queue.ts'
import { type LeaseSnapshot, LeaseTable } from '../leases/lease-table.ts'
import { Sweeper } from '../leases/sweeper.ts'
import { SnapshotReleased } from '../machine/errors.ts'
import type { Snapshot } from '../machine/machine.ts'
import { type Position, positionKey } from '../position.ts'
import type { Clock } from '../time/clock.ts'
import { cut } from './cut.ts'
import type { CutHistory } from './cut-history.ts'
import { CutSnapshot } from './cut-snapshot.ts'
import { type ChunkCoder, zstdCoder } from './encoding.ts'
import type { Manifest } from './manifest.ts'
import { releaseSnapshot } from './release.ts'

/**
 * Why a snapshot is no longer available. `expired`: its deadline passed, or its fetches made no progress.
 * `withdrawn`: the host stopped offering it. `failed`: it could not be cut.
 */
export type ReleaseCause = 'expired' | 'withdrawn' | 'failed'

/** How a snapshot became, or stopped being, available. */
export type AvailableEvent =
  | { readonly type: 'captured'; readonly anchor: Position; readonly items: number | undefined }
  | { readonly type: 'cut'; readonly anchor: Position; readonly manifest: Manifest; readonly tookMs: number }
  | { readonly type: 'revived'; readonly anchor: Position; readonly remainingMs: number }
  /** A snapshot that was offered before this process started again. It is offered still. */
  | { readonly type: 'adopted'; readonly anchor: Position; readonly remainingMs: number }
  | {
      readonly type: 'released'
      readonly anchor: Position
      readonly cause: ReleaseCause
      /** Why it could not be cut, or why it ended before its deadline. */
      readonly why?: string
    }
  /** The chunks of `count` released snapshots are out of memory. */
  | { readonly type: 'freed'; readonly count: number; readonly bytes: number }

/** One snapshot this replica can serve. */
export interface Available {
  readonly anchor: Position
  readonly remainingMs: number
  /** The whole snapshot is cut. */
  readonly ready: boolean
  /** How many hold it now: the cut, and fetches that are being answered. */
  readonly uses: number
}

/** A snapshot that was available once. */
export interface Released {
  readonly released: ReleaseCause
  /** Why it could not be cut, or why it ended before its deadline. */
  readonly why: string | undefined
}

export interface AvailableInit {
  readonly clock: Clock
  /** How long a snapshot stays available after it was cut or last revived, in milliseconds. */
  readonly ttlMs: number
  /** How chunks are encoded for the wire. Default: zstd. */
  readonly coder?: ChunkCoder
  /** What this replica cut last. Default: each snapshot is cut from the beginning. */
  readonly history?: CutHistory | undefined
  readonly onEvent?: (event: AvailableEvent) => void
}

export interface AddOptions {
  readonly control: Uint8Array
  readonly chunkBytes: number
  /** How long to put the cut off, in milliseconds, unless the snapshot is asked for earlier. Default 0. */
  readonly cutDelayMs?: number
}

interface Held {
  readonly anchor: Position
  readonly stop: AbortController
  /** Begin to cut now, if the cut was put off. */
  readonly startNow: () => void
  readonly cut: CutSnapshot
  /** Settles when the snapshot is cut. Rejects if it is released earlier. */
  readonly whenCut: Promise<Manifest>
  /**
   * The cut, and fetches being answered. While there are any, the snapshot neither expires nor loses its
   * chunks.
   */
  uses: number
  /** When it was captured, or last fetched from. */
  fetchedAtMs: number
}

/** Keep-alives hold an offer without a fetch for this many TTLs: 10 minutes at the default TTL of 10 s. */
const KEEP_ALIVE_TTLS = 60

/**
 * Released anchors that are remembered. A late request is then told why the snapshot is gone, and not
 * `UnknownAnchor`.
 */
const RELEASED_MAX = 64

/**
 * The map from anchor to available snapshot. Each snapshot has a deadline, which fetches revive. Without
 * fetches it expires, and its memory is given back off the hot path. A snapshot does not expire while it is
 * being cut or sent.
 */
export class AvailableSnapshots {
  readonly #init: AvailableInit
  readonly #held = new Map<string, Held>()
  readonly #released = new Map<string, Released>()
  /** Deadlines of the snapshots that are not in use: neither being cut nor read. */
  readonly #leases: LeaseTable<string>
  #sweeper: Sweeper<string> | undefined
  readonly #drops: DropQueue
  /** Released snapshots whose chunks are still in memory. */
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

  /**
   * Take over a captured snapshot and cut it in the background. If the anchor is held already, it is revived.
   */
  add(anchor: Position, source: Snapshot, options: AddOptions): void {
    const key = positionKey(anchor)
    if (this.revive(anchor) !== undefined) {
      releaseSnapshot(source)
      return
    }
    const { clock, coder, history } = this.#init
    this.#begin()
    const stop = new AbortController()
    const beganMs = clock.now()
    const { promise: begin, resolve: startNow } = Promise.withResolvers<void>()
    if (options.cutDelayMs) clock.schedule(options.cutDelayMs, startNow)
    else startNow()
    const into = new CutSnapshot(coder ?? zstdCoder)
    const whenCut = begin.then(() => cut(source, into, { ...options, clock, history, signal: stop.signal }))
    const held: Held = { anchor, stop, startNow, cut: into, whenCut, uses: 1, fetchedAtMs: beganMs }
    this.#held.set(key, held)
    this.#emit({ type: 'captured', anchor, items: source.size })
    whenCut.then(
      (manifest) => {
        this.#end(held)
        if (this.#held.get(key) !== held) return
        this.#emit({ type: 'cut', anchor, manifest, tookMs: clock.now() - beganMs })
      },
      (error: Error) => {
        if (this.#held.get(key) === held) this.#release(held, 'failed', error.message)
        this.#end(held)
      },
    )
  }

  /** Offer a snapshot again that this replica offered in an earlier life, for the rest of its TTL. */
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

  /**
   * Every anchor and its deadline, for the next life of this process. An anchor in use gets a full TTL from
   * now.
   */
  leases(): LeaseSnapshot<string> {
    const { clock, ttlMs } = this.#init
    const table = new LeaseTable<string>({ clock })
    for (const [key, { uses }] of this.#held) {
      if (uses > 0) table.register(key, ttlMs)
      else table.registerUntil(key, this.#leases.deadlineOf(key) ?? 0)
    }
    return table.toSnapshot()
  }

  /** The snapshot of an anchor; if it was released, why; undefined if it was never here. */
  get(anchor: Position): Available | Released | undefined {
    const held = this.#held.get(positionKey(anchor))
    return held === undefined ? this.#released.get(positionKey(anchor)) : this.#view(held)
  }

  /** All snapshots, oldest anchor first. */
  list(): Available[] {
    return [...this.#held.values()]
      .map((held) => this.#view(held))
      .sort((a, b) => a.anchor.index - b.anchor.index)
  }

  /** Resolves when the anchor's snapshot is cut. Undefined if it is not held. */
  whenCut(anchor: Position): Promise<Manifest> | undefined {
    return this.#held.get(positionKey(anchor))?.whenCut
  }

  /** The anchor's chunks, as far as they are cut. Undefined if the anchor is not held. */
  chunks(anchor: Position): CutSnapshot | undefined {
    return this.#held.get(positionKey(anchor))?.cut
  }

  /** A joiner waits for this anchor: begin a cut that was put off. */
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
   * Give an anchor a full TTL again for a joiner that fetches from other providers and may come back. Returns
   * undefined, and lets the anchor expire, once the last fetch from here is 60 TTLs ago.
   */
  keepAlive(anchor: Position): number | undefined {
    const { clock, ttlMs } = this.#init
    const held = this.#held.get(positionKey(anchor))
    if (held === undefined || clock.now() - held.fetchedAtMs >= KEEP_ALIVE_TTLS * ttlMs) return undefined
    // An anchor in use does not expire: it needs no reviving.
    return held.uses > 0 ? ttlMs : this.revive(anchor)
  }

  /** Keep an anchor from expiring until the returned function is called. From then on it has a full TTL. */
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

  /** End an offer before its deadline, because its fetches make no progress. */
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

  /** A snapshot that is still in use is queued when its last use ends. */
  #free(held: Held): void {
    if (held.uses === 0 && !this.#remains.drop(held)) held.cut.release()
  }

  #emit(event: AvailableEvent): void {
    this.#init.onEvent?.(event)
  }
}
