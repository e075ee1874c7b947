import { join } from 'node:path'
import type { DataDirectory } from '../../checkpoint/data-directory.ts'
import { OffersFile } from '../../checkpoint/offers-file.ts'
import { type CheckpointEvent, CheckpointStore } from '../../checkpoint/store.ts'
import type { GroupState } from '../../group/group-state.ts'
import { type Position, positionKey } from '../../position.ts'
import type { ChunkStore } from '../../snapshot/chunk-store.ts'
import type { ChunkCoder } from '../../snapshot/encoding.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import { asError } from '../../thrown.ts'
import { Ticker } from '../../time/ticker.ts'
import { Waiters } from '../following/waiters.ts'
import type { Reporter } from '../reporter.ts'
import {
  type AnchorSource,
  Checkpointer,
  type CheckpointerInit,
  type CheckpointSource,
  KEEP_CHECKPOINTS_DEFAULT,
  type Trust,
} from './checkpointer.ts'
import type { KeptState } from './kept-state.ts'

export interface DiskInit extends Omit<CheckpointerInit, 'store' | 'reporter'> {
  readonly data: DataDirectory
  readonly groupName: string
  readonly group: GroupState
  /** Decodes and encodes the chunks of checkpoints. */
  readonly coder: ChunkCoder
  /** What the machine keeps by itself. It takes the place of checkpoints: see `write`. */
  readonly kept: KeptState | undefined
  /** Announces a newer checkpoint. */
  readonly announcer: { soon(): void }
  readonly reporter: Pick<Reporter, 'emit' | 'problem'>
}

/** Knows what is offered, and offers what was offered before. */
type OfferKeeper = Pick<SnapshotSync, 'adopt' | 'leases'>

/** Takes the state that a checkpoint holds. */
interface CheckpointTarget {
  begin(source: 'disk', signal: AbortSignal, signature: () => string): StateBuilder
}

/**
 * How often the deadlines of offers are written down, in milliseconds. After a crash an offer lives shorter
 * by at most this.
 */
const OFFERS_EVERY_MS = 1_000

/** What a replica with a data directory keeps in it: its state, what it offers, and what it has fetched. */
export class Disk {
  readonly #init: DiskInit
  readonly #checkpoints: CheckpointStore
  readonly #checkpointer: Checkpointer
  readonly #offers: OffersFile
  /** Those who wait for a checkpoint that the group agreed on. */
  readonly #waiters = new Waiters()
  /** The anchor whose snapshot was fetched and installed, until a checkpoint covers it. */
  #uncovered: number | undefined
  /** Undefined before the checkpoints were loaded: nothing is offered. */
  #sync: OfferKeeper | undefined
  #ticker: Ticker | undefined

  private constructor(init: DiskInit, checkpoints: CheckpointStore) {
    const { data, clock, policy, kept } = init
    this.#init = init
    this.#offers = new OffersFile(join(data.path, 'offers.json'), data.storage, clock)
    this.#checkpoints = checkpoints
    // What a machine keeps by itself is on the disk already.
    const onStop = kept === undefined && policy.onStop !== false
    this.#checkpointer = new Checkpointer({ ...init, policy: { ...policy, onStop }, store: this })
  }

  static async open(init: DiskInit): Promise<Disk> {
    const { data, groupName, group, epoch, clock, coder, policy, reporter } = init
    await removeFetched(data)
    const disk: Disk = new Disk(
      init,
      await CheckpointStore.open({
        directory: data.checkpoints,
        storage: data.storage,
        group: groupName,
        signatures: group.versions.signatures,
        epoch,
        clock,
        coder,
        keep: policy.keep ?? KEEP_CHECKPOINTS_DEFAULT,
        onEvent: (event) => disk.#tell(event),
        onProblem: (error) => reporter.problem(error),
      }),
    )
    return disk
  }

  /** Where a session keeps what it has verified. */
  get fetched(): ChunkStore {
    return this.#checkpoints.chunks
  }

  /** The index of the newest checkpoint, sealed or not; 0 when there is none. */
  get newest(): number {
    return Math.max(this.#checkpoints.newest, this.#init.kept?.sealed ?? 0)
  }

  /**
   * The index of the newest checkpoint that the group agreed on; 0 when there is none. A machine that keeps its
   * state holds all that was agreed on and is in it.
   */
  get checkpoint(): number {
    return Math.max(this.#checkpoints.newestSealed, this.#init.kept?.sealed ?? 0)
  }

  /** Resolves when `checkpoint` is at least this. Rejects with what `fail` is given. */
  async checkpointed(index: number, signal?: AbortSignal): Promise<void> {
    if (index > this.checkpoint) await this.#waiters.wait(index, signal)
  }

  /** There will be no checkpoint before this replica has a state, if ever. */
  fail(reason: Error): void {
    this.#waiters.fail(reason)
  }

  /** What makes the next checkpoint due, for people. */
  get outlook(): string {
    return this.#checkpointer.outlook
  }

  /**
   * Install the newest intact checkpoint, and offer again what was offered. What cannot be read is reported
   * and left out. A machine that keeps its state by itself goes on from that; only if it has none, it gets
   * the snapshot that was imported.
   */
  async load(into: CheckpointTarget, sync: AnchorSource & OfferKeeper, signal: AbortSignal): Promise<void> {
    const { clock, reporter, kept } = this.#init
    this.#sync = sync
    try {
      const begin = (signature: string) => into.begin('disk', signal, () => signature)
      if (kept === undefined) {
        await this.#checkpoints.load(begin, signal)
        await this.#offerAgain(sync)
      } else if (kept.newest === undefined) await this.#checkpoints.load(begin, signal, 'sealed')
      else await this.#checkpoints.count()
      this.#waiters.reached(this.checkpoint)
    } catch (error) {
      signal.throwIfAborted()
      reporter.problem(asError(error))
    }
    this.#checkpointer.start(sync)
    this.#ticker = new Ticker({
      clock,
      label: 'offers',
      intervalMs: OFFERS_EVERY_MS,
      run: () => this.#writeOffers(),
      onError: (error) => reporter.problem(error),
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
    // Where the machine keeps its state, the snapshot was on the disk before it was the state.
    if (this.#init.kept !== undefined) {
      this.#waiters.reached(this.checkpoint)
      return this.#checkpoints.chunks.clear()
    }
    this.#uncovered = anchor.index
    this.#checkpointer.installed(anchor)
  }

  /**
   * This replica is at the end of the log. Chunks of a download that was cut off, and then was not needed,
   * are of no use.
   */
  inSync(): void {
    this.#dropFetched()
  }

  /**
   * Write a checkpoint. Throws what the disk says. Where the machine keeps its state, there is nothing to write:
   * the state on the disk is what the group agreed on, and what was applied since.
   */
  async write(source: CheckpointSource, signal: AbortSignal): Promise<void> {
    const { kept } = this.#init
    if (kept !== undefined) return this.#sealKept(kept, source)
    await this.#writeMakingRoom(source, signal)
    if (source.sealed) this.#dropFetched()
  }

  /** Write down what is to be there in the next life. */
  async stop(trust: Trust): Promise<void> {
    await this.#checkpointer.stop(trust)
    if (this.#uncovered !== undefined) this.#dropFetched()
    if (this.#ticker !== undefined) {
      await this.#ticker.stop()
      await this.#writeOffers().catch((error: Error) => this.#init.reporter.problem(error))
    }
    await this.#checkpoints.close()
  }

  #sealKept(kept: KeptState, { position }: CheckpointSource): void {
    const beganMs = this.#init.clock.now()
    kept.seal(position.index)
    // The imported snapshot, which the state began with.
    this.#checkpoints.dropBelow(kept.sealed)
    this.#tell({
      type: 'written',
      position,
      bytes: 0,
      wholeBytes: 0,
      tookMs: this.#init.clock.now() - beganMs,
    })
  }

  #tell(event: CheckpointEvent): void {
    const { announcer, reporter } = this.#init
    reporter.emit('checkpoint', event)
    if (event.type !== 'written') return
    announcer.soon()
    this.#waiters.reached(this.checkpoint)
  }

  /**
   * Chunks of an installed snapshot are kept until a checkpoint holds it: a crash before that must not cost a
   * second download.
   */
  #dropFetched(): void {
    if (this.#uncovered !== undefined && this.#checkpoints.newest < this.#uncovered) return
    this.#uncovered = undefined
    this.#checkpoints.chunks.clear()
  }

  async #writeMakingRoom(written: CheckpointSource, signal: AbortSignal): Promise<void> {
    const source = { ...written, signature: this.#init.group.signatureIn(written.manifest.control) }
    try {
      await this.#checkpoints.write(source, signal)
    } catch (error) {
      if (this.#uncovered === undefined || !isNoRoom(error)) throw error
      // The checkpoint is worth more than the chunks, which take its room.
      this.#uncovered = undefined
      await this.#checkpoints.clearFetched()
      await this.#checkpoints.write(source, signal)
    }
  }

  async #writeOffers(): Promise<void> {
    if (this.#sync !== undefined) await this.#offers.write(this.#sync.leases())
  }

  async #offerAgain(sync: OfferKeeper): Promise<void> {
    const { clock } = this.#init
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

/** Chunks of a download that an older version left. It kept them apart from those of the checkpoints. */
async function removeFetched({ path, storage }: DataDirectory): Promise<void> {
  const directory = join(path, 'fetched')
  const names = await storage.list(directory).catch(() => [])
  for (const name of names) await storage.remove(join(directory, name))
}

function isNoRoom(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
