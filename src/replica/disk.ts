import { join } from 'node:path'
import type { ChunkFiles } from '../checkpoint/chunk-files.ts'
import type { DataDirectory } from '../checkpoint/data-directory.ts'
import { OffersFile } from '../checkpoint/offers-file.ts'
import { type CheckpointEvent, CheckpointStore } from '../checkpoint/store.ts'
import { type Position, positionKey } from '../position.ts'
import { zstdCoder } from '../snapshot/encoding.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'
import type { SnapshotSync } from '../sync/snapshot-sync.ts'
import { asError } from '../thrown.ts'
import type { Clock } from '../time/clock.ts'
import { Ticker } from '../time/ticker.ts'
import { Checkpointer, type CheckpointerInit, KEEP_CHECKPOINTS_DEFAULT } from './checkpointer.ts'

export interface DiskInit
  extends Omit<CheckpointerInit, 'store' | 'coder' | 'requestAnchor' | 'hold' | 'whyGone'> {
  readonly data: DataDirectory
  readonly group: string
  readonly signature: string
  readonly clock: Clock
  /** What sessions have fetched and verified. */
  readonly fetched: ChunkFiles
  readonly sync: SnapshotSync
  readonly onEvent: (event: CheckpointEvent) => void
}

type Written = Parameters<CheckpointStore['write']>[0]

/** How often the deadlines of offers are written down: after a crash an offer lives at most so much shorter. */
const OFFERS_EVERY_MS = 1_000

/** What a replica with a data directory keeps in it: its state, what it offers, and what it has fetched of another's. */
export class Disk {
  readonly #init: DiskInit
  readonly #checkpoints: CheckpointStore
  readonly #checkpointer: Checkpointer
  readonly #offers: OffersFile
  readonly #fetched: ChunkFiles
  /** The anchor whose snapshot was installed from what was fetched, until a checkpoint covers it. */
  #uncovered: number | undefined
  #ticker: Ticker | undefined

  constructor(init: DiskInit) {
    const { data, group, signature, epoch, clock, policy, sync, onEvent } = init
    this.#init = init
    this.#fetched = init.fetched
    this.#offers = new OffersFile(join(data.path, 'offers.json'), data.storage, clock)
    const checkpoints = new CheckpointStore({
      directory: data.checkpoints,
      storage: data.storage,
      group,
      signature,
      epoch,
      clock,
      coder: zstdCoder,
      keep: policy.keep ?? KEEP_CHECKPOINTS_DEFAULT,
      onEvent,
    })
    this.#checkpoints = checkpoints
    this.#checkpointer = new Checkpointer({
      ...init,
      store: {
        get newest() {
          return checkpoints.newest
        },
        write: (source, signal) => this.#write(source, signal),
      },
      coder: zstdCoder,
      requestAnchor: (above, signal) => sync.requestAnchor(above, signal),
      hold: (anchor) => sync.hold(anchor),
      whyGone: (anchor) => sync.whyGone(anchor),
      onWritten: () => {
        this.#dropFetched()
        init.onWritten()
      },
    })
  }

  /** The index of the newest checkpoint that the group agreed on; 0 when there is none. */
  get checkpoint(): number {
    return this.#checkpoints.newestSealed
  }

  /** What makes the next checkpoint due, for people. */
  get outlook(): string {
    return this.#checkpointer.outlook
  }

  /** Install the newest intact checkpoint, and offer what was offered. What cannot be read is reported, and done without. */
  async load(begin: () => StateBuilder, signal: AbortSignal): Promise<void> {
    const { clock, onProblem } = this.#init
    try {
      await this.#checkpoints.load(begin, signal)
      await this.#offerAgain()
    } catch (error) {
      signal.throwIfAborted()
      onProblem(asError(error))
    }
    this.#checkpointer.start()
    this.#ticker = new Ticker({
      clock,
      label: 'offers',
      intervalMs: OFFERS_EVERY_MS,
      run: () => this.#writeOffers(),
      onError: onProblem,
    })
  }

  captured(anchor: Position): void {
    this.#checkpointer.captured(anchor)
  }

  /** @param why it could not be cut, if that is the cause */
  released(anchor: Position, why?: string): void {
    this.#checkpointer.released(anchor, why)
  }

  /** The group agreed on what this replica captured at this anchor. */
  sealed(anchor: Position): void {
    this.#checkpointer.sealed(anchor)
  }

  /** A snapshot from other replicas took the state's place. */
  installed(anchor: Position): void {
    this.#uncovered = anchor.index
    this.#checkpointer.installed(anchor)
  }

  /** This replica is at the end of the log: a download that was cut off, and then was not needed, is of no use. */
  inSync(): void {
    this.#dropFetched()
  }

  /** Write down what is to be there in the next life. */
  async stop(options: { readonly trusted: () => boolean }): Promise<void> {
    await this.#checkpointer.stop(options)
    if (this.#uncovered !== undefined) this.#dropFetched()
    if (this.#ticker !== undefined) {
      await this.#ticker.stop()
      await this.#writeOffers().catch(this.#init.onProblem)
    }
    await this.#checkpoints.close()
    await this.#fetched.close()
  }

  /** What was installed is kept until it is in a checkpoint: a crash before that must not cost a second download. */
  #dropFetched(): void {
    if (this.#uncovered !== undefined && this.#checkpoints.newest < this.#uncovered) return
    this.#uncovered = undefined
    this.#fetched.clear()
  }

  async #write(source: Written, signal: AbortSignal): Promise<void> {
    try {
      await this.#checkpoints.write(source, signal)
    } catch (error) {
      if (this.#uncovered === undefined || !isNoRoom(error)) throw error
      // The chunks take the room that the checkpoint needs, and it is worth more.
      this.#uncovered = undefined
      this.#fetched.clear()
      await this.#fetched.close()
      await this.#checkpoints.write(source, signal)
    }
  }

  async #writeOffers(): Promise<void> {
    await this.#offers.write(this.#init.sync.leases())
  }

  async #offerAgain(): Promise<void> {
    const { clock, sync } = this.#init
    const offered = await this.#offers.read()
    for (const position of this.#checkpoints.positions) {
      const deadlineMs = offered.deadlineOf(positionKey(position))
      if (deadlineMs === undefined || deadlineMs <= clock.now()) continue
      const cut = await this.#checkpoints.read(position)
      const remainingMs = deadlineMs - clock.now()
      if (cut !== undefined && remainingMs > 0) sync.adopt(position, cut, remainingMs)
    }
  }
}

function isNoRoom(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
