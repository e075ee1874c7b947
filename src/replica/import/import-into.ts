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
import { openCheckpoint, writeList } from '../../checkpoint/file.ts'
import { fileStorage } from '../../checkpoint/file-storage.ts'
import { OffersFile } from '../../checkpoint/offers-file.ts'
import type { Storage } from '../../checkpoint/storage.ts'
import { begunWith } from '../../group/carried-state.ts'
import { appendControl, type Genesis } from '../../group/control.ts'
import { GROUP_FORMAT } from '../../group/formats.ts'
import { GroupState } from '../../group/group-state.ts'
import { LeaseTable } from '../../leases/lease-table.ts'
import { AppendUncertain, LogMissing } from '../../log/errors.ts'
import type { Log, LogBackend, LogInit } from '../../log/log.ts'
import { type Position, positionKey } from '../../position.ts'
import { CHUNK_BYTES_DEFAULT } from '../../snapshot/cut.ts'
import { zstdCoder } from '../../snapshot/encoding.ts'
import { type Manifest, makeManifest, totalBytes, totalItems } from '../../snapshot/manifest.ts'
import { TTL_MS_DEFAULT } from '../../sync/limits.ts'
import { type Clock, systemClock } from '../../time/clock.ts'
import { LogNotEmpty } from './errors.ts'
import { readGenesis } from './genesis-reader.ts'
import { NewChunks } from './new-chunks.ts'
import { type RecutOptions, recut } from './recut.ts'
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

/** What `importInto` is given. */
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

/** How far an import has come. */
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

/**
 * Begin a log with the snapshot in a file. The log gets one small entry: the snapshot's root, and where it
 * comes from. The snapshot itself goes into `dataDir`, and is flushed before the log has the entry. Start a
 * replica on that directory next. The others get the state from it as they get any snapshot.
 *
 * It takes the memory of a few chunks, whatever the size, and checks every chunk. The log is made when all
 * are on the disk. If the import fails before its last step, there is no log, or an empty one, and another
 * import into the same log and directory begins again. A replica that is started in between is refused with
 * `ImportUnfinished`.
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
  const signature = transform?.signature ?? source.what.signature
  const of = { group, signature, snapshot: true, author: AUTHOR, signal }
  await assertNew(init.log, of)
  let [items, bytes] = [0, 0]
  await using chunks = await NewChunks.open(data, clock, (info) => {
    items += info.items
    bytes += info.bytes
    init.onProgress?.({ items, bytes })
  })
  if (transform === undefined) await chunks.copy(source.chunks, (index) => source.chunk(index), signal)
  else await transformed(source, { transform, chunks, chunkBytes, clock, signal })
  // No log is made before the long part is done: somebody might begin it meanwhile.
  const log = await init.log.open(of)
  try {
    const genesis = {
      format: GROUP_FORMAT,
      signature,
      timeMs: source.what.timeMs,
      chunkBytes: transform === undefined ? 0 : chunkBytes,
      source: { group: source.what.group, ...source.what.position },
    }
    return await new Beginning({ log, group, data, source, chunks, genesis, ttlMs, clock, signal }).begin()
  } finally {
    await log.close()
  }
}

/** Throws `LogNotEmpty` if the log is there, and has entries. */
async function assertNew(backend: LogBackend, of: LogInit): Promise<void> {
  let log: Log
  try {
    log = await backend.open({ ...of, create: false })
  } catch (error) {
    if (error instanceof LogMissing) return
    throw error
  }
  try {
    await assertEmpty(log, of.signal!)
  } finally {
    await log.close()
  }
}

async function assertEmpty(log: Log, signal: AbortSignal): Promise<void> {
  const { newest } = await log.bounds({ signal })
  if (newest.index > 0) throw new LogNotEmpty(newest.index, await readGenesis(log, signal))
}

interface TransformedInit extends RecutOptions {
  readonly transform: Transform
  readonly chunks: NewChunks
}

/** Put the chunks of the new items there, one after the other. */
async function transformed(source: SourceFile, { transform, chunks, ...options }: TransformedInit) {
  const items = transform.items(source.items(options.signal), source.what)
  for await (const { info, bytes } of recut(items, options)) {
    options.signal.throwIfAborted()
    await chunks.add(info, bytes)
  }
}

interface BeginningInit {
  readonly log: Log
  readonly group: string
  readonly data: DataDirectory
  readonly source: SourceFile
  /** All that the snapshot has. */
  readonly chunks: NewChunks
  readonly genesis: Omit<Genesis, 'root'>
  readonly ttlMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** The last steps of an import: the log exists, and the chunks are there. */
class Beginning {
  readonly #init: BeginningInit
  readonly #position: Position

  constructor(init: BeginningInit) {
    this.#init = init
    this.#position = { epoch: init.log.epoch, index: 1 }
  }

  async begin(): Promise<Imported> {
    const { log, source, chunks, genesis, signal } = this.#init
    await assertEmpty(log, signal)
    const group = new GroupState()
    group.restore(begunWith(genesis))
    const manifest = makeManifest(group.encode(), chunks.infos)
    try {
      await this.#writeCheckpoint(manifest)
      await this.#writeOffer()
      signal.throwIfAborted()
      await this.#append({ ...genesis, root: manifest.root })
      chunks.keep()
    } catch (error) {
      if (error instanceof AppendUncertain) chunks.keep()
      else await this.#forget().catch(() => {})
      throw error
    }
    return {
      ...{ position: this.#position, signature: genesis.signature, root: manifest.root, source: source.what },
      ...{ items: totalItems(manifest), bytes: totalBytes(manifest) },
    }
  }

  /** The snapshot, as a checkpoint of the place of the log's first entry. It is flushed. */
  async #writeCheckpoint(manifest: Manifest): Promise<void> {
    const { group, data, chunks, genesis } = this.#init
    await chunks.flush()
    const of = { group, signature: genesis.signature, position: this.#position, sealed: true, manifest }
    await writeList(this.#path, data.storage, of)
  }

  async #writeOffer(): Promise<void> {
    const { data, ttlMs, clock } = this.#init
    const offers = new LeaseTable<string>({ clock })
    offers.register(positionKey(this.#position), ttlMs)
    await new OffersFile(join(data.path, 'offers.json'), data.storage, clock).write(offers.toSnapshot())
  }

  /** The log's first entry, and no other one. */
  async #append(genesis: Genesis): Promise<void> {
    const { log, signal } = this.#init
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
    const { checkpoints, storage } = this.#init.data
    await storage.remove(this.#path)
    await storage.flushDirectory(checkpoints)
  }

  get #path(): string {
    const { epoch, index } = this.#position
    return join(this.#init.data.checkpoints, checkpointName(index, epochTag(epoch)))
  }
}
