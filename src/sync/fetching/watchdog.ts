import type { Position } from '../../position.ts'
import type { Clock } from '../../time/clock.ts'
import { AnchorGone } from '../errors.ts'
import type { SyncHost } from '../host.ts'
import type { Peers } from '../wire/peers.ts'
import type { Fetch } from './chunks/fetch.ts'
import { Useless } from './lost-anchors.ts'
import type { OfferDirectory } from './offer-directory.ts'

/**
 * How long a session keeps an anchor while nothing of it arrives: a group that is held up for longer is
 * broken.
 */
const STALL_MS = 60_000

/**
 * What comes slower than this, in bytes a second, counts as nothing: a group gives an anchor up below the
 * same rate.
 */
const COMING_BYTES_PER_S_MIN = 32 * 1024

/**
 * How long a session waits for members that cannot be reached when all others have said no. A broken
 * connection is made again within a few polls; a process that has ended stays away longer than is worth
 * waiting.
 */
const UNREACHED_MS = 1_500

export interface WatchdogInit {
  readonly anchor: Position
  readonly host: Pick<SyncHost, 'mayBeSealed'>
  readonly peers: Pick<Peers, 'receivedBytes'>
  readonly clock: Clock
  readonly offers: OfferDirectory
  readonly requestTimeoutMs: number
  readonly fetchTimeoutMs: number
}

/** Judges whether an anchor that is being fetched is still worth it. */
export class Watchdog {
  readonly #init: WatchdogInit
  readonly #fetch: Fetch
  /** When the last provider was seen, or else when the anchor was chosen. */
  #idleSinceMs: number
  #wasLinked = false
  #sealDueSinceMs: number | undefined
  /** Since when too many electors have been away. */
  #unsealableSinceMs: number | undefined
  /** What had come when the fetch last got on, and when that was. */
  #moved: { readonly steps: number; readonly bytes: number; readonly atMs: number }

  constructor(init: WatchdogInit, fetch: Fetch) {
    this.#init = init
    this.#fetch = fetch
    this.#idleSinceMs = init.clock.now()
    this.#moved = this.#progress()
  }

  /** A provider was linked at some time. */
  get wasLinked(): boolean {
    return this.#wasLinked
  }

  /** Why the anchor is to be left, if it is. */
  judge(): AnchorGone | undefined {
    return this.#forsaken() ?? this.#stalled() ?? this.#unsealable() ?? this.#neverSealed()
  }

  /**
   * Nobody will send the rest of it. All who serve have said since the last provider left that they do not
   * offer it, or cannot be reached. Replicas that are still on their way to the marker may yet offer it;
   * before the first provider showed up they get longer.
   */
  #forsaken(): AnchorGone | undefined {
    const { anchor, clock, offers, requestTimeoutMs, fetchTimeoutMs } = this.#init
    if (!this.#fetch.idle) {
      this.#wasLinked = true
      this.#idleSinceMs = clock.now()
      return undefined
    }
    const sinceMs = this.#idleSinceMs
    const waitedMs = clock.now() - sinceMs
    const why = ['nobody offers it any more', ...this.#fetch.complaints].join('; ')
    const { servers } = offers
    if (waitedMs >= (this.#wasLinked ? fetchTimeoutMs : requestTimeoutMs)) {
      // A liar may name one that is not there yet: what lies below that is not given up with it.
      const exists = servers.some(({ applied }) => applied >= anchor.index)
      return exists ? new Useless(anchor, why) : new AnchorGone(anchor, why)
    }
    if (offers.candidates(anchor, sinceMs).some((id) => !this.#fetch.isGone(id))) return undefined
    const isCut = servers.some(({ id }) => offers.isUnreached(id, sinceMs))
    // A provider that is cut off, or starts again, still has it. A leader that can be reached again names it
    // again.
    if (isCut || servers.length === 0) {
      const isOver = waitedMs >= UNREACHED_MS && (isCut || this.#wasLinked)
      return isOver ? new AnchorGone(anchor, why) : undefined
    }
    return new Useless(anchor, why)
  }

  #stalled(): AnchorGone | undefined {
    const { anchor } = this.#init
    const now = this.#progress()
    const { steps, bytes, atMs } = this.#moved
    // A large item on a slow link is no whole chunk for minutes.
    const comes = now.bytes - bytes >= (STALL_MS / 1_000) * COMING_BYTES_PER_S_MIN
    if (now.steps !== steps || this.#fetch.awaitsSeal || comes) this.#moved = now
    else if (now.atMs - atMs >= STALL_MS)
      return new AnchorGone(anchor, `nothing of it came for ${STALL_MS} ms`)
    return undefined
  }

  /**
   * Electors that are away may be back in a moment: one that starts again, or all of them for a process that was
   * stopped itself, until it has heard who is there and what they attested.
   */
  #unsealable(): AnchorGone | undefined {
    const { anchor, host, clock } = this.#init
    if (this.#fetch.isSealed || host.mayBeSealed?.(anchor) !== false) {
      this.#unsealableSinceMs = undefined
      return undefined
    }
    this.#unsealableSinceMs ??= clock.now()
    if (clock.now() - this.#unsealableSinceMs < UNREACHED_MS) return undefined
    return new Useless(anchor, 'too many of its electors have left before they attested it')
  }

  #neverSealed(): AnchorGone | undefined {
    const { anchor, clock, requestTimeoutMs } = this.#init
    if (!this.#fetch.sealDue) {
      this.#sealDueSinceMs = undefined
      return undefined
    }
    this.#sealDueSinceMs ??= clock.now()
    const isOver = clock.now() - this.#sealDueSinceMs >= requestTimeoutMs
    return isOver ? new Useless(anchor, 'it was never sealed') : undefined
  }

  #progress(): { readonly steps: number; readonly bytes: number; readonly atMs: number } {
    const { peers, clock } = this.#init
    const bytes = peers.receivedBytes + this.#fetch.builtBytes
    return { steps: this.#fetch.steps, bytes, atMs: clock.now() }
  }
}
