import { sameBytes } from '../../bytes.ts'
import { appendControl, type Marker } from '../../group/control.ts'
import type { GroupState } from '../../group/group-state.ts'
import { AppendUncertain, LogBusy } from '../../log/errors.ts'
import type { Log, LogTail } from '../../log/log.ts'
import type { StateMachine } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'
import type { CapturedInit } from '../../sync/options.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import { CutFailed } from '../../sync/wire/errors.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import type { Disk } from '../disk/disk.ts'
import type { Reporter } from '../reporter.ts'
import type { Divergences } from './divergences.ts'

export interface AnchorsInit {
  readonly self: string
  readonly epoch: string
  readonly clock: Clock
  readonly ttlMs: number
  readonly sync: SnapshotSync
  readonly group: GroupState
  readonly machine: Pick<StateMachine, 'capture'>
  /** Takes this replica's attestations. */
  readonly log: Pick<Log, 'append'>
  /** Is told of the roots on which the group agreed with this replica. */
  readonly disk: Pick<Disk, 'sealed'> | undefined
  /** Is told of those on which it did not. */
  readonly divergences: Pick<Divergences, 'found'>
  readonly reporter: Pick<Reporter, 'problem'>
}

/**
 * Anchors whose roots are remembered after their snapshots were released. Of more, the oldest are forgotten.
 */
const ROOTS_MAX = 64

/**
 * How long a leader puts its own cut off, in milliseconds, when the rest of the electorate has a majority
 * without it. It has the group's writes to order.
 */
const LEADER_CUT_DELAY_MS = 1_000
/** Pause before an attestation is appended again, in milliseconds, when the log did not take it. */
const RETRY_MS = 500

/**
 * How long a replica that has just caught up puts its own cut off, in milliseconds. It has the log to catch
 * up with.
 */
const JOINER_CUT_DELAY_MS = 1_000

/** This replica's side of each anchor: capture at the marker, attest the root, compare it with the seal. */
export class Anchors {
  readonly #init: AnchorsInit
  readonly #roots = new Map<number, Promise<Uint8Array>>()

  constructor(init: AnchorsInit) {
    this.#init = init
  }

  /** This replica's root at an anchor that it applied; undefined if it never captured there. */
  root(anchor: number): Promise<Uint8Array> | undefined {
    return this.#roots.get(anchor)
  }

  /**
   * A marker was applied: capture the state. If the log has gone on for longer than an offer lives, nobody
   * waits for the snapshot, and it is not captured. Machine time decides this, so that all replicas that read
   * the same log judge alike.
   */
  marked(index: number, marker: Marker, newest: LogTail): void {
    const { epoch, self, ttlMs, group, reporter } = this.#init
    const newestMs = group.timeAt(newest.timestampMs) ?? Number.POSITIVE_INFINITY
    if (newestMs - group.timeMs > ttlMs) return
    const anchor = { epoch, index }
    const { requesters, chunkBytes, electorate } = marker
    const others = electorate.filter((elector) => elector !== self).length
    const canWait = group.leader === self && others * 2 > electorate.length
    const cutDelayMs = canWait ? LEADER_CUT_DELAY_MS : 0
    this.#capture(anchor, { control: group.encode(), chunkBytes, requesters, cutDelayMs }).then(
      async (own) => {
        // A state that is known to be wrong is not attested.
        if (!electorate.includes(self) || !this.#roots.has(index)) return
        await this.#attest(anchor, own).catch((error: Error) => reporter.problem(error))
      },
      () => {
        // Without a cut there is no root to attest. A peer that asks for the snapshot is told why.
      },
    )
  }

  /** The group agreed on a root. Compare it with this replica's, as soon as there is one. */
  sealed(index: number, sealed: Uint8Array): void {
    const { epoch, sync } = this.#init
    const anchor = { epoch, index }
    sync.sealed(anchor)
    this.#roots.get(index)?.then(
      (own) => this.#compare(anchor, own, sealed),
      () => {},
    )
  }

  /** Nobody uses these anchors: they make room for a newer one. */
  retired(anchors: readonly number[]): void {
    for (const index of anchors) this.#init.sync.retire({ epoch: this.#init.epoch, index })
  }

  /**
   * The group cannot agree on a root, so nobody may install this anchor. The dispute does not tell whose
   * state is wrong.
   */
  disputed(index: number): void {
    this.#init.sync.disputed({ epoch: this.#init.epoch, index })
  }

  /** A snapshot replaced the state. What was captured of the old one says nothing about the new one. */
  replaced(): void {
    this.#roots.clear()
  }

  /**
   * The snapshot of an anchor was installed, and nothing applied since. This replica captures it as the
   * replicas did that applied the marker, and serves it while it lives. Its seal follows in the log.
   */
  installed(index: number, control: Uint8Array, chunkBytes: number): void {
    const anchor = { epoch: this.#init.epoch, index }
    const cutDelayMs = JOINER_CUT_DELAY_MS
    this.#capture(anchor, { control, chunkBytes, requesters: [], cutDelayMs }).catch(() => {
      // Without a cut there is nothing to compare.
    })
  }

  /**
   * Offer the state as it is now. Resolves with its root. Rejects with `CutFailed`, and with `Expired` when
   * it is released before it is cut.
   */
  #capture(anchor: Position, init: CapturedInit): Promise<Uint8Array> {
    const { sync, machine, group, reporter } = this.#init
    sync.captured(anchor, machine.capture(group.signature), init)
    const root = sync.whenCut(anchor)!.then(
      (manifest) => manifest.root,
      (error: Error) => {
        const reason = sync.whyGone(anchor) ?? error
        if (reason instanceof CutFailed) reporter.problem(reason)
        throw reason
      },
    )
    this.#remember(anchor.index, root)
    return root
  }

  /**
   * Append the attestation until the log has it: without it the group may never agree. One that is in the log
   * twice counts once.
   */
  async #attest(anchor: Position, root: Uint8Array): Promise<void> {
    const { clock, sync, group, log, reporter } = this.#init
    do {
      try {
        await appendControl(log, { type: 'attestation', anchor: anchor.index, root })
        return
      } catch (error) {
        if (!(error instanceof LogBusy || error instanceof AppendUncertain)) throw error
        reporter.problem(error)
      }
      await sleep(clock, RETRY_MS)
    } while (sync.whenCut(anchor) !== undefined && group.seal(anchor.index)?.state === 'open')
  }

  #compare(anchor: Position, own: Uint8Array, sealed: Uint8Array): void {
    if (!this.#roots.has(anchor.index)) return
    if (sameBytes(own, sealed)) return this.#init.disk?.sealed(anchor)
    this.#roots.clear()
    this.#init.divergences.found(anchor, own, sealed)
  }

  #remember(index: number, root: Promise<Uint8Array>): void {
    this.#roots.set(index, root)
    for (const oldest of this.#roots.keys()) {
      if (this.#roots.size <= ROOTS_MAX) break
      this.#roots.delete(oldest)
    }
  }
}
