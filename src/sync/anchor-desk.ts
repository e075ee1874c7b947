import type { Clock } from '../expiry/clock.ts'
import { type Position, positionKey } from '../position.ts'
import type { AvailableSnapshots } from '../snapshot/available.ts'
import { Busy, NotLeader } from './errors.ts'
import type { SyncHost } from './host.ts'
import { BUSY_RETRY_MS, LIVE_ANCHORS_MAX } from './limits.ts'

export interface AnchorDeskInit {
  readonly self: string
  readonly host: SyncHost
  readonly available: AvailableSnapshots
  readonly clock: Clock
  /** An anchor that is not sealed by then is given up: a new marker names a fresh electorate. */
  readonly sealTimeoutMs: number
}

/**
 * The leader's answer to a snapshot request: the anchor of a live offer that fits, or of one new marker, which
 * requests that arrive meanwhile share.
 */
export class AnchorDesk {
  readonly #init: AnchorDeskInit
  /** A marker that was appended, or is being, and that this replica has not applied yet. */
  #pending: { promise: Promise<Position>; sinceMs: number } | undefined
  readonly #capturedAtMs = new Map<string, number>()
  readonly #sealed = new Set<string>()

  constructor(init: AnchorDeskInit) {
    this.#init = init
  }

  async anchorFor(requester: string, above: Position): Promise<Position> {
    const { host, self, available, clock, sealTimeoutMs } = this.#init
    const leader = host.leader()
    if (leader !== self) throw new NotLeader(leader)

    let usable = 0
    for (const { anchor } of available.list().reverse()) {
      if (!(await this.#usable(anchor))) continue
      if (anchor.epoch === above.epoch && anchor.index > above.index) {
        available.revive(anchor)
        return anchor
      }
      usable++
    }
    if (this.#pending !== undefined && clock.now() - this.#pending.sinceMs < sealTimeoutMs) {
      const anchor = await this.#pending.promise
      if (anchor.index > above.index) return anchor
    }
    if (usable >= LIVE_ANCHORS_MAX) {
      throw new Busy(`${LIVE_ANCHORS_MAX} anchors are live already, and none fits`, BUSY_RETRY_MS)
    }
    const promise = host.appendMarker(requester)
    const pending = { promise, sinceMs: clock.now() }
    this.#pending = pending
    promise.catch(() => {
      if (this.#pending === pending) this.#pending = undefined
    })
    return await promise
  }

  /** The marker was applied: from here on the anchor is an offer like any other. */
  captured(anchor: Position): void {
    this.#capturedAtMs.set(positionKey(anchor), this.#init.clock.now())
    const pending = this.#pending
    pending?.promise.then(
      (appended) => {
        if (this.#pending === pending && appended.index <= anchor.index) this.#pending = undefined
      },
      () => {},
    )
  }

  sealed(anchor: Position): void {
    const key = positionKey(anchor)
    if (this.#capturedAtMs.has(key)) this.#sealed.add(key)
  }

  released(anchor: Position): void {
    this.#capturedAtMs.delete(positionKey(anchor))
    this.#sealed.delete(positionKey(anchor))
  }

  /** Sealed or young enough to be, and its place in the log is still there. */
  async #usable(anchor: Position): Promise<boolean> {
    const { host, clock, sealTimeoutMs } = this.#init
    const key = positionKey(anchor)
    const ageMs = clock.now() - (this.#capturedAtMs.get(key) ?? Number.NEGATIVE_INFINITY)
    if (!this.#sealed.has(key) && ageMs >= sealTimeoutMs) return false
    return await host.isReadable(anchor)
  }
}
