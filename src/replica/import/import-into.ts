import { join } from 'node:path'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  checkInteger,
  checkMs,
  TIMER_MS_MAX,
  TTL_MS_MIN,
} from '../../bounds.ts'
import { sameBytes } from '../../bytes.ts'
import { checkpointName, epochTag } from '../../checkpoint/belonging.ts'
import { DataDirectory } from '../../checkpoint/data-directory.ts'
import { openCheckpoint } from '../../checkpoint/file.ts'
import { fileStorage } from '../../checkpoint/file-storage.ts'
import { OffersFile } from '../../checkpoint/offers-file.ts'
import type { Storage } from '../../checkpoint/storage.ts'
import { CheckpointStore } from '../../checkpoint/store.ts'
import { appendControl, type Genesis } from '../../group/control.ts'
import { GROUP_FORMAT } from '../../group/formats.ts'
import { begunWith, GroupState } from '../../group/group-state.ts'
import { LeaseTable } from '../../leases/lease-table.ts'
import { AppendUncertain } from '../../log/errors.ts'
import type { Log, LogBackend } from '../../log/log.ts'
import { type Position, positionKey } from '../../position.ts'
import { CHUNK_BYTES_DEFAULT } from '../../snapshot/cut.ts'
import { type EncodedChunk, zstdCoder } from '../../snapshot/encoding.ts'
import {
  type ChunkInfo,
  type Manifest,
  makeManifest,
  totalBytes,
  totalItems,
} from '../../snapshot/manifest.ts'
import { TTL_MS_DEFAULT } from '../../sync/limits.ts'
import { type Clock, systemClock } from '../../time/clock.ts'
import { LogNotEmpty } from './errors.ts'
import { readGenesis } from './genesis-reader.ts'
import { recut } from './recut.ts'
import { type ImportSource, SourceFile } from './source.ts'

/** Makes the items of the new state from those of the file. */
export interface Transform {
  /**
   * Called once. Both sides are streams: read the items as you need them, and yield those of the new state,
   * in the order of the machine that will have them. Nobody but that machine checks the order, when it
   * installs them. An item that was yielded must not change any more.
   */
  items(items: AsyncIterable<Uint8Array>, source: ImportSource): AsyncIterable<Uint8Array>
  /** The signature of the machine that will have the items. Default: that of the file. */
  readonly signature?: string
}

export interface ImportInit {
  /** The new log: there is none at its place yet, or it is empty. */
  readonly log: LogBackend
  /** The name of the new group. It need not be that of the file. */
  readonly group: string
  /** What `Replica.exportTo` wrote, or a checkpoint where it lies in a data directory. */
  readonly file: string
  /**
   * The data directory of the replica that is to have the state first. It is made if it is not there, and
   * needs room for the whole snapshot. Checkpoints of other logs that are in it stay there.
   */
  readonly dataDir: string
  /** Default: the items stay as they are. */
  readonly transform?: Transform
  /**
   * The average size of chunks after a transform, in bytes, 1 to 8 MiB. Default 1 MiB. Without one, the
   * chunks are those of the file.
   */
  readonly chunkBytes?: number
  /**
   * How long the replica that starts on `dataDir` offers this very snapshot to others, in milliseconds from
   * now, from 250 to 2^31 - 1. Afterwards it offers newer ones, as any replica. Default 10,000.
   */
  readonly ttlMs?: number
  /** Called after each chunk. */
  readonly onProgress?: (progress: ImportProgress) => void
  /** Ends the import, which then rejects with the signal's reason. Another import begins again. */
  readonly signal?: AbortSignal
}

export interface ImportProgress {
  /** Items of the new state so far. */
  readonly items: number
  /** Their bytes, before compression. */
  readonly bytes: number
}

/** What a log begins with. */
export interface Imported extends ImportProgress {
  /** The first entry of the new log: the state is that of this place. */
  readonly position: Position
  /** The signature that the log is bound to. */
  readonly signature: string
  /** The snapshot's root. */
  readonly root: Uint8Array
  /** Where the state comes from. */
  readonly source: ImportSource
}

/** What an import needs that is another in a simulation. */
export interface ImportInternals {
  readonly storage?: Storage
  readonly clock?: Clock
}

/** The author of a log's first entry, where that is a snapshot. */
const AUTHOR = 'import'
/** One checkpoint is written. */
const KEEP = 1

/**
 * Begin a log with the snapshot in a file. The log gets one small entry: the snapshot's root, and where it
 * comes from. The snapshot itself goes into `dataDir`, and is flushed before the log has the entry. Start a
 * replica on that directory next. The others get the state from it as they get any snapshot.
 *
 * It takes the memory of a few chunks, whatever the size, and checks every chunk. If it fails before its last
 * step, the log stays empty, and another import into the same log and directory begins again. A replica that
 * is started in between is refused with `ImportUnfinished`.
 *
 * Rejects with `LogNotEmpty`, `CheckpointDamaged`, `CheckpointMismatch`, `DirectoryInUse`,
 * `DirectoryUnusable`, with what the log says, and with what the transform throws. After `AppendUncertain`
 * the log may have the entry: import again, and `LogNotEmpty` tells if it has.
 *
 * @example
 * ```ts
 * const log = jetstreamLog({ servers: 'nats://n1:4222' })
 * await importInto({ log, group: 'cities', file: 'backup.checkpoint', dataDir: 'replica-1' })
 * await using replica = await createReplica({ log, group: 'cities', dataDir: 'replica-1', machine })
 * ```
 */
export async function importInto(init: ImportInit): Promise<Imported> {
  return await importOn({}, init)
}

/** @internal As `importInto`, on another storage than files. */
export async function importOn(
  { storage = fileStorage, clock = systemClock }: ImportInternals,
  init: ImportInit,
): Promise<Imported> {
  const { chunkBytes = CHUNK_BYTES_DEFAULT, ttlMs = TTL_MS_DEFAULT, group, transform } = init
  checkInteger('chunkBytes', chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
  checkMs('ttlMs', ttlMs, TTL_MS_MIN, TIMER_MS_MAX)
  const signal = init.signal ?? new AbortController().signal
  signal.throwIfAborted()
  await using reader = await openCheckpoint(init.file, storage)
  const source = new SourceFile(reader, zstdCoder)
  using data = await DataDirectory.open(init.dataDir, storage)
  const signature = transform?.signature ?? source.signature
  const log = await init.log.open({ group, signature, snapshot: true, author: AUTHOR, signal })
  try {
    const work = { init, log, data, source, signature, chunkBytes, ttlMs, clock, signal }
    return await new Import(work).run()
  } finally {
    await log.close()
  }
}

interface ImportWork {
  readonly init: ImportInit
  readonly log: Log
  readonly data: DataDirectory
  readonly source: SourceFile
  readonly signature: string
  readonly chunkBytes: number
  readonly ttlMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** One import, from its open parts on. */
class Import {
  readonly #work: ImportWork
  readonly #position: Position
  #items = 0
  #bytes = 0

  constructor(work: ImportWork) {
    this.#work = work
    this.#position = { epoch: work.log.epoch, index: 1 }
  }

  async run(): Promise<Imported> {
    const { init, log, source, signature, chunkBytes, signal } = this.#work
    const { newest } = await log.bounds({ signal })
    if (newest.index > 0) throw new LogNotEmpty(newest.index, await readGenesis(log, signal))
    const genesis = {
      format: GROUP_FORMAT,
      signature,
      timeMs: source.timeMs,
      chunkBytes: init.transform === undefined ? 0 : chunkBytes,
      source: { group: source.group, ...source.position },
    }
    const manifest = await this.#writeCheckpoint(genesis)
    try {
      await this.#writeOffer()
      signal.throwIfAborted()
      await this.#append({ ...genesis, root: manifest.root })
    } catch (error) {
      if (!(error instanceof AppendUncertain)) await this.#forget().catch(() => {})
      throw error
    }
    const [items, bytes] = [totalItems(manifest), totalBytes(manifest)]
    return { position: this.#position, signature, root: manifest.root, items, bytes, source }
  }

  /** The snapshot, as a checkpoint of the place of the log's first entry. It is flushed. */
  async #writeCheckpoint(genesis: Omit<Genesis, 'root'>): Promise<Manifest> {
    const { init, data, source, signature, clock, signal } = this.#work
    const store = await CheckpointStore.open({
      directory: data.checkpoints,
      storage: data.storage,
      group: init.group,
      signatures: [signature],
      epoch: this.#position.epoch,
      clock,
      coder: zstdCoder,
      keep: KEEP,
      onEvent: () => {},
    })
    try {
      const { transform } = init
      const chunks = transform === undefined ? source.chunks : await this.#transformed(store, transform)
      const group = new GroupState()
      group.restore(begunWith(genesis))
      const manifest = makeManifest(group.encode(), chunks)
      const chunk = async (index: number): Promise<EncodedChunk> => {
        const encoded = await source.chunk(index)
        this.#progress(chunks[index]!)
        return encoded
      }
      await store.write({ position: this.#position, signature, sealed: true, manifest, chunk }, signal)
      return manifest
    } finally {
      await store.close()
    }
  }

  /**
   * Puts the chunks of the new items on the disk, one after the other. They are held until the store is
   * closed.
   */
  async #transformed(store: CheckpointStore, transform: Transform): Promise<readonly ChunkInfo[]> {
    const { source, chunkBytes, clock, signal } = this.#work
    const { group, signature, position, timeMs } = source
    const items = transform.items(source.items(signal), { group, signature, position, timeMs })
    const chunks: ChunkInfo[] = []
    for await (const { info, bytes } of recut(items, { chunkBytes, clock, signal })) {
      signal.throwIfAborted()
      store.chunks.hold([info])
      await store.chunks.put(info, () => zstdCoder.encode(bytes))
      chunks.push(info)
      this.#progress(info)
    }
    return chunks
  }

  #progress({ items, bytes }: ChunkInfo): void {
    this.#items += items
    this.#bytes += bytes
    this.#work.init.onProgress?.({ items: this.#items, bytes: this.#bytes })
  }

  async #writeOffer(): Promise<void> {
    const { data, ttlMs, clock } = this.#work
    const offers = new LeaseTable<string>({ clock })
    offers.register(positionKey(this.#position), ttlMs)
    await new OffersFile(join(data.path, 'offers.json'), data.storage, clock).write(offers.toSnapshot())
  }

  /** The log's first entry, and no other one. */
  async #append(genesis: Genesis): Promise<void> {
    const { log, signal } = this.#work
    try {
      if ((await appendControl(log, { type: 'genesis', ...genesis })) === 1) return
    } catch (error) {
      if (!(error instanceof AppendUncertain)) throw error
      const found = await readGenesis(log, signal)
      if (found !== undefined && sameBytes(found.root, genesis.root)) return
      if ((await log.bounds({ signal })).newest.index === 0) throw error
    }
    const { newest } = await log.bounds({ signal })
    throw new LogNotEmpty(newest.index, await readGenesis(log, signal))
  }

  /** The log does not begin with it, so no replica may. */
  async #forget(): Promise<void> {
    const { checkpoints, storage } = this.#work.data
    await storage.remove(join(checkpoints, checkpointName(1, epochTag(this.#position.epoch))))
    await storage.flushDirectory(checkpoints)
  }
}
