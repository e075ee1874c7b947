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
import { chunksBeside } from './chunk-file.ts'
import { ChunkFiles, type ChunkHold } from './chunk-files.ts'
import { CheckpointDamaged, CheckpointMismatch } from './errors.ts'
import {
  type CheckpointReader,
  type CheckpointSource,
  openCheckpoint,
  type VerifiedChunk,
  verifiedChunks,
  writeList,
} from './file.ts'
import type { Storage } from './storage.ts'

/** What happened to a replica's checkpoints. */
export type CheckpointEvent =
  | {
      readonly type: 'written'
      readonly position: Position
      /** What was written. Chunks that were on disk by then are not. */
      readonly bytes: number
      /** What the whole checkpoint takes, chunks that it shares included. */
      readonly wholeBytes: number
      readonly tookMs: number
    }
  | { readonly type: 'loaded'; readonly position: Position; readonly tookMs: number }
  /**
   * It cannot be used. A damaged one was renamed. One of another group, machine or log was left where it is.
   */
  | { readonly type: 'skipped'; readonly path: string; readonly reason: Error }
  /** Older ones were removed. Their chunks are apart from them. */
  | { readonly type: 'dropped'; readonly count: number; readonly bytes: number }
  /** Chunks were removed that neither a checkpoint nor a download needs any more. */
  | { readonly type: 'freed'; readonly count: number; readonly bytes: number }

export interface CheckpointStoreInit {
  readonly directory: string
  readonly storage: Storage
  readonly group: string
  /** Of the machine: each version that it can install. */
  readonly signatures: readonly string[]
  /** The incarnation of the log: checkpoints of another one are not loaded. */
  readonly epoch: string
  readonly clock: Clock
  readonly coder: ChunkCoder
  /** How many are kept, the latest first. */
  readonly keep: number
  readonly onEvent: (event: CheckpointEvent) => void
  /** Told of what the disk does not do for a download. Default: nobody. */
  readonly onProblem?: (error: Error) => void
}

interface Kept {
  readonly index: number
  readonly path: string
  /** Its chunks, if they are not in its file. */
  readonly chunks: ChunkHold | undefined
}

/**
 * Chunks that are written at the same time, each flushed by itself. One more than one hides the encoding of
 * the next, and four would take all of libuv's threads.
 */
const WRITES = 2

/**
 * The checkpoints in one directory, and the chunks that they share. A checkpoint writes what is not there
 * already: first the chunks, then their names, then the file that lists them. One write at a time.
 */
export class CheckpointStore {
  /** Where a download keeps chunks, too. */
  readonly chunks: ChunkFiles
  readonly #init: CheckpointStoreInit
  readonly #epochTag: string
  readonly #drops: DropQueue
  readonly #files: DropKind<Kept>
  /** Those of this epoch that are whole, as far as is known. */
  #kept: Kept[] = []
  #newest = 0
  #newestSealed = 0

  private constructor(init: CheckpointStoreInit, drops: DropQueue, chunks: ChunkFiles) {
    this.#init = init
    this.#epochTag = epochTag(init.epoch)
    this.#drops = drops
    this.chunks = chunks
    this.#files = drops.kind('checkpoint', {
      list: () => this.#kept,
      indexOf: ({ index }) => index,
      spared: () => false,
      release: (file) => this.#remove(file),
    })
  }

  /** Finds what chunks there are. Throws what the disk says. */
  static async open(init: CheckpointStoreInit): Promise<CheckpointStore> {
    const { directory, storage, coder, clock, onEvent, onProblem = () => {} } = init
    const drops = new DropQueue({
      clock,
      onDropped: ({ kind, count, bytes }) =>
        onEvent({ type: kind === 'chunk' ? 'freed' : 'dropped', count, bytes }),
    })
    const at = chunksBeside(join(directory, 'any'))
    const chunks = await ChunkFiles.open({ directory: at, storage, coder, drops, onProblem })
    return new CheckpointStore(init, drops, chunks)
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

  /** Find which chunks the checkpoints need, where none of them is loaded. */
  async count(): Promise<void> {
    this.#kept = this.#ours(await this.#find())
  }

  /**
   * Install the newest one that is intact. Resolves with its position, or undefined when there is none.
   * @param only `sealed`: one whose root the group agreed on
   */
  async load(
    begin: (signature: string) => StateBuilder,
    signal: AbortSignal,
    only: 'sealed' | 'any' = 'any',
  ): Promise<Position | undefined> {
    const { clock, onEvent } = this.#init
    const beganMs = clock.now()
    const found = await this.#find()
    this.#kept = this.#ours(found)
    for (const file of found) {
      const { path } = file
      try {
        await using reader = await openCheckpoint(path, this.#init.storage)
        this.#check(reader)
        if (only === 'sealed' && !reader.sealed) continue
        await this.#install(reader, begin(reader.signature), signal)
        const { position, sealed } = reader
        this.#newest = position.index
        this.#newestSealed = sealed ? position.index : await this.#sealedBelow(position.index)
        onEvent({ type: 'loaded', position, tookMs: clock.now() - beganMs })
        return position
      } catch (error) {
        signal.throwIfAborted()
        await this.#skip(file, asError(error))
      }
    }
    return undefined
  }

  /**
   * Write a checkpoint, unless there is one at this position or above. Throws if the disk does not take it.
   * The others stay as they are.
   */
  async write(source: Omit<CheckpointSource, 'group'>, signal: AbortSignal): Promise<void> {
    const { directory, storage, group, clock, keep, onEvent } = this.#init
    const { position, sealed, manifest } = source
    if (position.index <= this.#newest) return
    const beganMs = clock.now()
    const path = join(directory, checkpointName(position.index, this.#epochTag))
    const chunks = this.chunks.hold(manifest.chunks)
    try {
      const chunkBytes = await this.#writeChunks(source, signal)
      const listBytes = await writeList(path, storage, { ...source, group })
      this.#kept = [...this.#kept, { index: position.index, path, chunks }]
      this.#newest = position.index
      if (sealed) this.#newestSealed = position.index
      const [bytes, wholeBytes] = [chunkBytes + listBytes, chunks.bytes + listBytes]
      onEvent({ type: 'written', position, bytes, wholeBytes, tookMs: clock.now() - beganMs })
    } catch (error) {
      // The disk may be full, and what was written in vain has a part in that.
      chunks.release()
      await this.#giveBack()
      throw error
    }
    this.#files.keepLatest(keep)
    this.chunks.sweep()
  }

  /** Have those below this index removed: the state is somewhere else. */
  dropBelow(index: number): void {
    this.#files.dropBelow(index)
  }

  /** Remove all chunks that no checkpoint needs, now. */
  async clearFetched(): Promise<void> {
    this.chunks.clear()
    await this.chunks.close()
    await this.#giveBack()
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
      for await (const { encoded } of this.#verified(reader)) chunks.push(encoded)
      return CutSnapshot.restored(this.#init.coder, reader.manifest, chunks)
    } catch (error) {
      await this.#skip(kept, asError(error))
      return undefined
    }
  }

  /** Resolves when what is queued for removal is gone. */
  async close(): Promise<void> {
    await this.chunks.close()
    // The chunks of a checkpoint are not needed once it is gone.
    await this.#giveBack()
    this.chunks.sweep()
    await this.#drops.stop()
  }

  /** Resolves with how many bytes were written. */
  async #writeChunks(
    { manifest, chunk }: Pick<CheckpointSource, 'manifest' | 'chunk'>,
    signal: AbortSignal,
  ): Promise<number> {
    let [next, bytes, isOver] = [0, 0, false]
    const write = async () => {
      while (!isOver && next < manifest.chunks.length) {
        signal.throwIfAborted()
        const index = next++
        const written = await this.chunks.put(manifest.chunks[index]!, () => chunk(index))
        bytes += written
      }
    }
    const writes = Array.from({ length: WRITES }, () =>
      write().finally(() => {
        // All is under way, or the write failed.
        isOver = true
      }),
    )
    const failed = (await Promise.allSettled(writes)).find(({ status }) => status === 'rejected')
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
    await this.chunks.flushNames()
    return bytes
  }

  #ours(found: readonly Kept[]): Kept[] {
    return found.filter(({ path }) => path.endsWith(`-${this.#epochTag}.checkpoint`))
  }

  async #giveBack(): Promise<void> {
    this.chunks.sweep()
    await this.#drops.flush()
  }

  async #remove(file: Kept): Promise<number> {
    const { directory, storage } = this.#init
    const bytes = await storage.size(file.path)
    await storage.remove(file.path)
    // A loss of power must not bring back a checkpoint whose chunks are gone.
    await storage.flushDirectory(directory)
    this.#kept = this.#kept.filter((kept) => kept !== file)
    file.chunks?.release()
    this.chunks.sweep()
    return bytes
  }

  /**
   * Find the checkpoints, newest first, and count which chunks they need. Remove the drafts of writes that
   * were cut off.
   */
  async #find(): Promise<Kept[]> {
    const { directory, storage } = this.#init
    const names = await storage.list(directory)
    for (const name of names) if (name.endsWith('.new')) await storage.remove(join(directory, name))
    const found: Kept[] = []
    let isCounted = true
    for (const { name, index } of checkpointsAmong(names)) {
      const path = join(directory, name)
      const chunks = await this.#chunksOf(path).catch((error) => {
        // It is not this one's fault that it cannot be read: it may need any chunk.
        if (!(error instanceof CheckpointDamaged)) isCounted = false
        return undefined
      })
      found.push({ index, path, chunks })
    }
    if (isCounted) this.chunks.counted()
    return found
  }

  async #chunksOf(path: string): Promise<ChunkHold | undefined> {
    await using reader = await openCheckpoint(path, this.#init.storage)
    return reader.isListed ? this.chunks.hold(reader.manifest.chunks) : undefined
  }

  async *#verified(reader: CheckpointReader): AsyncGenerator<VerifiedChunk> {
    for await (const verified of verifiedChunks(reader, this.#init.coder)) {
      if (reader.isListed) this.chunks.verified(verified.info.hash, verified.encoded)
      yield verified
    }
  }

  #check({ path, group, signature, position }: CheckpointReader): void {
    const ours = this.#init
    if (group !== ours.group) throw new CheckpointMismatch(path, 'group', group, ours.group)
    if (!ours.signatures.includes(signature))
      throw new CheckpointMismatch(path, 'state machine', signature, ours.signatures.join(' or '))
    if (position.epoch !== ours.epoch) throw new CheckpointMismatch(path, 'epoch', position.epoch, ours.epoch)
  }

  /**
   * The newest sealed one below the one that was loaded, which covers all that it covers. 0 if there is none.
   */
  async #sealedBelow(loaded: number): Promise<number> {
    for (const { index, path, chunks } of this.#kept) {
      if (index >= loaded || chunks?.isWhole === false) continue
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
    for await (const { bytes, info } of this.#verified(reader)) {
      signal.throwIfAborted()
      await installing.add(bytes, info.items)
    }
    await installing.finish?.()
    const { position, manifest } = reader
    installing.commit(position, manifest.control)
  }

  async #skip(file: Kept, reason: Error): Promise<void> {
    const { path, chunks } = file
    const damaged = reason instanceof CheckpointDamaged || reason instanceof MalformedChunk
    if (damaged) {
      await this.#init.storage.rename(path, `${path}.damaged`).catch(() => {})
      chunks?.release()
    }
    this.#kept = this.#kept.filter((kept) => kept !== file)
    this.#init.onEvent({ type: 'skipped', path, reason })
  }
}
