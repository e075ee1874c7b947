import { formatPosition, type Position } from '../../position.ts'
import type { AvailableSnapshots } from '../../snapshot/available.ts'
import type { CutSnapshot } from '../../snapshot/cut-snapshot.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import type { SyncHost } from '../host.ts'
import { BUSY_RETRY_MS, MANIFEST_PAGE_CHUNKS } from '../limits.ts'
import { Busy, CutFailed, Expired, Incompatible, UnknownAnchor } from '../wire/errors.ts'
import type { ResponseBody } from '../wire/messages.ts'
import { gone } from './offers.ts'

export interface HeldAnchorsInit {
  readonly host: SyncHost
  readonly available: AvailableSnapshots
  readonly clock: Clock
  /** How long a request waits for the cut, in milliseconds. */
  readonly waitMs: number
}

/** The anchors that are offered here, as requests name them. */
export class HeldAnchors {
  readonly #init: HeldAnchorsInit

  constructor(init: HeldAnchorsInit) {
    this.#init = init
  }

  /** Throws `Incompatible` for a position in another log. */
  checkEpoch(position: Position): void {
    const { epoch } = this.#init.host
    if (position.epoch !== epoch) {
      throw new Incompatible(`this replica follows the log of epoch ${epoch}, not ${position.epoch}`)
    }
  }

  /** Throws why an anchor cannot be served. */
  find(anchor: Position): void {
    const { available, host } = this.#init
    this.checkEpoch(anchor)
    const found = available.get(anchor)
    if (found === undefined) throw new UnknownAnchor(`${formatPosition(anchor)} was never offered here`)
    if ('released' in found) throw gone(anchor, found)
    if (host.hasStalled?.(anchor) === true) {
      available.expire(anchor, 'nobody makes progress with it; ask for a newer one')
      return this.find(anchor)
    }
  }

  /** The chunks of an anchor, whose cut begins now at the latest. */
  chunks(anchor: Position): CutSnapshot {
    this.find(anchor)
    this.#init.available.startNow(anchor)
    return this.#init.available.chunks(anchor)!
  }

  keepAlive(anchor: Position): ResponseBody {
    this.find(anchor)
    const remainingMs = this.#init.available.keepAlive(anchor)
    if (remainingMs === undefined) throw new Expired('nobody has fetched from it for too long')
    return { type: 'revived', remainingMs }
  }

  async manifest(anchor: Position, from: number): Promise<ResponseBody> {
    const chunks = this.chunks(anchor)
    await this.beyond(anchor, chunks, from)
    const end = from + MANIFEST_PAGE_CHUNKS
    const control = end >= chunks.infos.length ? chunks.manifest?.control : undefined
    return { type: 'manifest', chunks: chunks.infos.slice(from, end), control }
  }

  /**
   * Resolves when more than `count` chunks are cut, or all. Rejects with `Busy` when a requester should not
   * wait longer.
   */
  async beyond(anchor: Position, chunks: CutSnapshot, count: number): Promise<void> {
    if (chunks.infos.length > count || chunks.manifest !== undefined) return
    const waiting = new AbortController()
    try {
      await Promise.race([
        chunks.beyond(count).catch((error: Error) => {
          this.find(anchor)
          // Cutting failed just now, and the anchor is about to be released for that.
          throw CutFailed.at(anchor, error.message)
        }),
        sleep(this.#init.clock, this.#init.waitMs, waiting.signal).then(() => {
          throw new Busy(`the snapshot of ${formatPosition(anchor)} is still being cut`, BUSY_RETRY_MS)
        }),
      ])
    } finally {
      waiting.abort()
    }
  }
}
