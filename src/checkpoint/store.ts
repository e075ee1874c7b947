import { join } from 'node:path'
import { type DropKind, DropQueue } from '../leases/drop-queue.ts'
import type { Position } from '../position.ts'
import { CutSnapshot } from '../snapshot/cut-snapshot.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { MalformedChunk } from '../snapshot/errors.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'
import { asError } from '../thrown.ts'
import type { Clock } from '../time/clock.ts'
import { checkpointName, checkpointsAmong, epochTag } from './belonging.ts'
import { CheckpointDamaged, CheckpointMismatch } from './errors.ts'
import {
  type CheckpointReader,
  type CheckpointSource,
  openCheckpoint,
  verifiedChunks,
  writeCheckpoint,
} from './file.ts'
import type { Storage } from './storage.ts'

/** What happened to a replica's checkpoints. */
export type CheckpointEvent =
  | { readonly type: 'written'; readonly position: Position; readonly bytes: number; readonly tookMs: number }
  | { readonly type: 'loaded'; readonly position: Position; readonly tookMs: number }
  /**
   * It cannot be used. A damaged one was renamed. One of another group, machine or log was left where it is.
   */
  | { readonly type: 'skipped'; readonly path: string; readonly reason: Error }
  /** Older ones were removed. */
  | { readonly type: 'dropped'; readonly count: number; readonly bytes: number }

export interface CheckpointStoreInit {
  readonly directory: string
  readonly storage: Storage
  readonly group: string
  readonly signature: string
  /** The incarnation of the log: checkpoints of another one are not loaded. */
  readonly epoch: string
  readonly clock: Clock
  readonly coder: ChunkCoder
  /** How many are kept, the latest first. */
  readonly keep: number
  readonly onEvent: (event: CheckpointEvent) => void
}

interface Kept {
  readonly index: number
  readonly path: string
}

/** The checkpoints in one directory. One write at a time. */
export class CheckpointStore {
  readonly #init: CheckpointStoreInit
  readonly #epochTag: string
  readonly #drops: DropQueue
  readonly #files: DropKind<Kept>
  /** Those of this epoch that are whole, as far as is known. */
  #kept: Kept[] = []
  #newest = 0
  #newestSealed = 0

  constructor(init: CheckpointStoreInit) {
    this.#init = init
    this.#epochTag = epochTag(init.epoch)
    this.#drops = new DropQueue({
      clock: init.clock,
      onDropped: ({ count, bytes }) => init.onEvent({ type: 'dropped', count, bytes }),
    })
    this.#files = this.#drops.kind('checkpoint', {
      list: () => this.#kept,
      indexOf: ({ index }) => index,
      spared: () => false,
      release: async (file) => {
        const bytes = await init.storage.size(file.path)
        await init.storage.remove(file.path)
        this.#kept = this.#kept.filter((kept) => kept !== file)
        return bytes
      },
    })
  }

  /** The index of the newest one, sealed or not; 0 when there is none. */
  get newest(): number {
    return this.#newest
  }

  /** The index of the newest one whose root the group agreed on; 0 when there is none. */
  get newestSealed(): number {
    return this.#newestSealed
  }

  /** Where there is one. */
  get positions(): Position[] {
    return this.#kept.map(({ index }) => ({ epoch: this.#init.epoch, index }))
  }

  /** Install the newest one that is intact. Resolves with its position, or undefined when there is none. */
  async load(begin: () => StateBuilder, signal: AbortSignal): Promise<Position | undefined> {
    const { clock, onEvent } = this.#init
    const beganMs = clock.now()
    const found = await this.#find()
    this.#kept = found.filter(({ path }) => path.endsWith(`-${this.#epochTag}.checkpoint`))
    for (const { path } of found) {
      try {
        await using reader = await openCheckpoint(path, this.#init.storage)
        this.#check(reader)
        await this.#install(reader, begin(), signal)
        const { position, sealed } = reader
        this.#newest = position.index
        this.#newestSealed = sealed ? position.index : await this.#sealedBelow(position.index)
        onEvent({ type: 'loaded', position, tookMs: clock.now() - beganMs })
        return position
      } catch (error) {
        signal.throwIfAborted()
        await this.#skip(path, asError(error))
      }
    }
    return undefined
  }

  /**
   * Write a checkpoint, unless there is one at this position or above. Throws if the disk does not take it.
   * The others stay as they are.
   */
  async write(source: Omit<CheckpointSource, 'group' | 'signature'>, signal: AbortSignal): Promise<void> {
    const { directory, storage, group, signature, clock, keep, onEvent } = this.#init
    const { position, sealed } = source
    if (position.index <= this.#newest) return
    const beganMs = clock.now()
    const path = join(directory, checkpointName(position.index, this.#epochTag))
    const bytes = await writeCheckpoint(path, storage, { ...source, group, signature }, signal)
    this.#kept = [...this.#kept, { index: position.index, path }]
    this.#newest = position.index
    if (sealed) this.#newestSealed = position.index
    onEvent({ type: 'written', position, bytes, tookMs: clock.now() - beganMs })
    this.#files.keepLatest(keep)
  }

  /**
   * The snapshot in a checkpoint, to serve it. Undefined if there is none, or none that is sealed and intact.
   */
  async read(position: Position): Promise<CutSnapshot | undefined> {
    const kept = this.#kept.find(({ index }) => index === position.index)
    if (kept === undefined) return undefined
    try {
      await using reader = await openCheckpoint(kept.path, this.#init.storage)
      this.#check(reader)
      if (!reader.sealed) return undefined
      const chunks: EncodedChunk[] = []
      for await (const { encoded } of verifiedChunks(reader, this.#init.coder)) chunks.push(encoded)
      return CutSnapshot.restored(this.#init.coder, reader.manifest, chunks)
    } catch (error) {
      await this.#skip(kept.path, asError(error))
      return undefined
    }
  }

  /** Resolves when what is queued for removal is gone. */
  async close(): Promise<void> {
    await this.#drops.stop()
  }

  /** Find the checkpoints, newest first, and remove the drafts of writes that were cut off. */
  async #find(): Promise<Kept[]> {
    const { directory, storage } = this.#init
    const names = await storage.list(directory)
    for (const name of names) if (name.endsWith('.new')) await storage.remove(join(directory, name))
    return checkpointsAmong(names).map(({ name, index }) => ({ index, path: join(directory, name) }))
  }

  #check({ path, group, signature, position }: CheckpointReader): void {
    const ours = this.#init
    if (group !== ours.group) throw new CheckpointMismatch(path, 'group', group, ours.group)
    if (signature !== ours.signature)
      throw new CheckpointMismatch(path, 'state machine', signature, ours.signature)
    if (position.epoch !== ours.epoch) throw new CheckpointMismatch(path, 'epoch', position.epoch, ours.epoch)
  }

  /**
   * The newest sealed one below the one that was loaded, which covers all that it covers. 0 if there is none.
   */
  async #sealedBelow(loaded: number): Promise<number> {
    for (const { index, path } of this.#kept) {
      if (index >= loaded) continue
      try {
        await using reader = await openCheckpoint(path, this.#init.storage)
        this.#check(reader)
        if (reader.sealed) return index
      } catch {
        // One that cannot be read is not counted on. It was not loaded either.
      }
    }
    return 0
  }

  async #install(reader: CheckpointReader, installing: StateBuilder, signal: AbortSignal): Promise<void> {
    for await (const { bytes, items } of verifiedChunks(reader, this.#init.coder)) {
      signal.throwIfAborted()
      await installing.add(bytes, items)
    }
    await installing.finish?.()
    const { position, manifest } = reader
    installing.commit(position, manifest.control)
  }

  async #skip(path: string, reason: Error): Promise<void> {
    const damaged = reason instanceof CheckpointDamaged || reason instanceof MalformedChunk
    if (damaged) await this.#init.storage.rename(path, `${path}.damaged`).catch(() => {})
    this.#kept = this.#kept.filter((kept) => kept.path !== path)
    this.#init.onEvent({ type: 'skipped', path, reason })
  }
}
