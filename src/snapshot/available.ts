import type { Clock, Timer } from '../expiry/clock.ts'
import type { Snapshot } from '../machine/machine.ts'
import { type Position, positionKey } from '../position.ts'
import { cut } from './cut.ts'
import { CutSnapshot } from './cut-snapshot.ts'
import { type ChunkCoder, zstdCoder } from './encoding.ts'
import type { Manifest } from './manifest.ts'

/** How a snapshot became, or stopped being, available. */
export type AvailableEvent =
  | { readonly type: 'captured'; readonly anchor: Position; readonly items: number }
  | { readonly type: 'cut'; readonly anchor: Position; readonly manifest: Manifest; readonly tookMs: number }
  | { readonly type: 'revived'; readonly anchor: Position; readonly remainingMs: number }
  | {
      readonly type: 'released'
      readonly anchor: Position
      readonly cause: 'expired' | 'withdrawn' | 'failed'
    }

/** One snapshot this replica can serve. */
export interface Available {
  readonly anchor: Position
  readonly remainingMs: number
  /** All of it is cut. */
  readonly ready: boolean
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
  readonly hurry: () => void
  readonly cut: CutSnapshot
  /** Settles when the snapshot is cut; rejects when it is released before. */
  readonly whenCut: Promise<Manifest>
  deadlineMs: number
  /** Fetches being answered: a snapshot does not lapse under one. */
  uses: number
}

/** Released anchors that are remembered, so that a late request is told Expired and not UnknownAnchor. */
const RELEASED_MAX = 64

/**
 * The map from anchor to available snapshot. Each has a deadline, which fetches revive; one that nobody fetches
 * lapses and its memory is given back. A snapshot does not lapse while it is being cut or sent.
 */
export class AvailableSnapshots {
  readonly #init: AvailableInit
  readonly #held = new Map<string, Held>()
  readonly #released = new Set<string>()
  #timer: Timer | undefined

  constructor(init: AvailableInit) {
    this.#init = init
  }

  /** Take a captured snapshot over and cut it in the background. One that is held already is revived. */
  add(anchor: Position, source: Snapshot, options: AddOptions): void {
    const key = positionKey(anchor)
    if (this.revive(anchor) !== undefined) {
      source.release()
      return
    }
    const { clock, ttlMs, coder } = this.#init
    const stop = new AbortController()
    const beganMs = clock.now()
    const { promise: begin, resolve: hurry } = Promise.withResolvers<void>()
    if (options.cutDelayMs) clock.schedule(options.cutDelayMs, hurry)
    else hurry()
    const into = new CutSnapshot(coder ?? zstdCoder)
    const whenCut = begin.then(() => cut(source, into, { ...options, clock, signal: stop.signal }))
    const deadlineMs = beganMs + ttlMs
    const held: Held = { anchor, stop, hurry, cut: into, whenCut, deadlineMs, uses: 1 }
    this.#held.set(key, held)
    this.#emit({ type: 'captured', anchor, items: source.size })
    // The source is given back when nobody reads it any more: also of an anchor released meanwhile.
    whenCut.then(
      (manifest) => {
        source.release()
        if (this.#held.get(key) !== held) return
        this.#end(held)
        this.#emit({ type: 'cut', anchor, manifest, tookMs: clock.now() - beganMs })
      },
      () => {
        source.release()
        if (this.#held.get(key) === held) this.#release(held, 'failed')
      },
    )
  }

  /** The snapshot of an anchor; 'released' if it was here once; undefined if it never was. */
  get(anchor: Position): Available | 'released' | undefined {
    const held = this.#held.get(positionKey(anchor))
    if (held !== undefined) return this.#view(held)
    return this.#released.has(positionKey(anchor)) ? 'released' : undefined
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
  hurry(anchor: Position): void {
    this.#held.get(positionKey(anchor))?.hurry()
  }

  /** Give an anchor a full TTL again. Returns how long it now lives, or undefined if it is not held. */
  revive(anchor: Position): number | undefined {
    const held = this.#held.get(positionKey(anchor))
    if (held === undefined) return undefined
    held.deadlineMs = this.#init.clock.now() + this.#init.ttlMs
    this.#arm()
    this.#emit({ type: 'revived', anchor, remainingMs: this.#init.ttlMs })
    return this.#init.ttlMs
  }

  /** Keep an anchor from lapsing until the returned function is called; then it has a full TTL. */
  use(anchor: Position): () => void {
    const held = this.#held.get(positionKey(anchor))
    if (held === undefined) return () => {}
    held.uses++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#end(held)
    }
  }

  /** Stop offering an anchor, or everything. */
  withdraw(anchor?: Position): void {
    for (const held of [...this.#held.values()]) {
      if (anchor === undefined || positionKey(held.anchor) === positionKey(anchor))
        this.#release(held, 'withdrawn')
    }
    this.#arm()
  }

  #view(held: Held): Available {
    const remainingMs =
      held.uses > 0 ? this.#init.ttlMs : Math.max(0, held.deadlineMs - this.#init.clock.now())
    return { anchor: held.anchor, remainingMs, ready: held.cut.manifest !== undefined }
  }

  #end(held: Held): void {
    held.uses--
    held.deadlineMs = this.#init.clock.now() + this.#init.ttlMs
    this.#arm()
  }

  #release(held: Held, cause: 'expired' | 'withdrawn' | 'failed'): void {
    const key = positionKey(held.anchor)
    this.#held.delete(key)
    this.#released.add(key)
    for (const oldest of this.#released) {
      if (this.#released.size <= RELEASED_MAX) break
      this.#released.delete(oldest)
    }
    if (held.cut.manifest === undefined)
      held.stop.abort(new Error('the snapshot was released while it was being cut'))
    this.#emit({ type: 'released', anchor: held.anchor, cause })
  }

  /** One timer, for the earliest deadline. */
  #arm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    let earliestMs = Number.POSITIVE_INFINITY
    for (const held of this.#held.values()) {
      if (held.uses === 0) earliestMs = Math.min(earliestMs, held.deadlineMs)
    }
    if (earliestMs === Number.POSITIVE_INFINITY) return
    this.#timer = this.#init.clock.schedule(earliestMs - this.#init.clock.now(), () => this.#lapse())
  }

  #lapse(): void {
    const nowMs = this.#init.clock.now()
    for (const held of [...this.#held.values()]) {
      if (held.uses === 0 && held.deadlineMs <= nowMs) this.#release(held, 'expired')
    }
    this.#arm()
  }

  #emit(event: AvailableEvent): void {
    this.#init.onEvent?.(event)
  }
}
