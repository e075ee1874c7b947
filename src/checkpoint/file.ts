import { dirname, join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { sameBytes } from '../bytes.ts'
import type { Position } from '../position.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { HASH_BYTES, hash } from '../snapshot/hash.ts'
import { type ChunkInfo, chunkHash, type Manifest, makeManifest } from '../snapshot/manifest.ts'
import { chunkName, chunksBeside, readChunkFile } from './chunk-file.ts'
import { CheckpointDamaged, CheckpointMismatch } from './errors.ts'
import { ContentsSchema } from './pb/checkpoint_pb.js'
import type { ReadableFile, Storage, WritableFile } from './storage.ts'

/**
 * A checkpoint's file: a magic number with the format's version, then the encoded chunks back to back as they
 * are served, the `Contents` message, and a trailer of fixed size. That is the message's length as an unsigned
 * 32-bit big-endian integer, its hash, and the magic number again. Of the other format are the checkpoints of
 * a data directory: their chunks are in files beside, each named by its hash, which checkpoints share.
 *
 * It is written under another name, flushed, and renamed. So the file under a checkpoint's name is whole,
 * whatever happens.
 */
const MAGIC = Buffer.from('ANCHCKP')
/** The chunks are in the file. */
const WHOLE = 1
/** The file only lists its chunks. */
const LISTED = 2
const MAGIC_BYTES = MAGIC.length + 1
const TRAILER_BYTES = 4 + HASH_BYTES + MAGIC_BYTES
/** The longest `Contents`, which is held before its hash is checked. 256 MiB list 4 million chunks. */
const CONTENTS_BYTES_MAX = 256 * 1024 * 1024
/**
 * Chunks that are read and decoded at the same time, of which the first is the next in turn. On two processors
 * from one to six were as fast.
 */
const READ_AHEAD = 2

/** What a checkpoint is of. */
export interface CheckpointOf {
  readonly group: string
  readonly signature: string
  readonly position: Position
  /** The group agreed on its root; otherwise it is what this replica had when it was stopped. */
  readonly sealed: boolean
}

/** A snapshot as it is written down. */
export interface CheckpointSource extends CheckpointOf {
  readonly manifest: Manifest
  readonly chunk: (index: number) => Promise<EncodedChunk>
}

/** Write a checkpoint with its chunks to `path`, whole or not at all. Resolves with its size in bytes. */
export async function writeCheckpoint(
  path: string,
  storage: Storage,
  source: CheckpointSource,
  signal: AbortSignal,
): Promise<number> {
  return await writeDraft(path, storage, async (file) => {
    await file.write(magicOf(WHOLE), 0)
    let bytes = MAGIC_BYTES
    const chunks: Listed[] = []
    for (const [index, info] of source.manifest.chunks.entries()) {
      signal.throwIfAborted()
      const encoded = await source.chunk(index)
      await file.write(encoded.bytes, bytes)
      bytes += encoded.bytes.length
      chunks.push({ ...info, encodedBytes: encoded.bytes.length, zstd: encoded.encoding === 'zstd' })
    }
    const end = endOf(WHOLE, source, chunks)
    await file.write(end, bytes)
    return bytes + end.length
  })
}

/**
 * Write a checkpoint to `path` whose chunks are in files beside, and flushed. Resolves with the size of this
 * one file in bytes.
 */
export async function writeList(
  path: string,
  storage: Storage,
  source: Omit<CheckpointSource, 'chunk'>,
): Promise<number> {
  const bytes = Buffer.concat([magicOf(LISTED), endOf(LISTED, source, source.manifest.chunks)])
  return await writeDraft(path, storage, async (file) => {
    await file.write(bytes, 0)
    return bytes.length
  })
}

async function writeDraft(
  path: string,
  storage: Storage,
  write: (file: WritableFile) => Promise<number>,
): Promise<number> {
  const draft = `${path}.new`
  try {
    const file = await storage.create(draft)
    let bytes: number
    try {
      bytes = await write(file)
      await file.flush()
    } finally {
      await file.close()
    }
    await storage.rename(draft, path)
    await storage.flushDirectory(dirname(path))
    return bytes
  } catch (error) {
    await storage.remove(draft).catch(() => {})
    throw error
  }
}

/** A chunk in the list. How it is encoded is told where the chunks lie in the file. */
type Listed = ChunkInfo & { readonly encodedBytes?: number; readonly zstd?: boolean }

function endOf(format: number, source: Omit<CheckpointSource, 'chunk'>, chunks: readonly Listed[]): Buffer {
  const { group, signature, position, sealed, manifest } = source
  const contents = toBinary(
    ContentsSchema,
    create(ContentsSchema, {
      group,
      signature,
      epoch: position.epoch,
      index: BigInt(position.index),
      control: manifest.control,
      chunks: [...chunks],
      sealed,
    }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(contents.length)
  return Buffer.concat([contents, length, contentsHash(contents), magicOf(format)])
}

/** An open checkpoint whose contents are known and checked. Its chunks are not: see `verifiedChunks`. */
export class CheckpointReader implements CheckpointOf, AsyncDisposable {
  readonly path: string
  readonly group: string
  readonly signature: string
  readonly position: Position
  readonly sealed: boolean
  readonly manifest: Manifest
  /** Its chunks are in files beside it. */
  readonly isListed: boolean
  readonly #storage: Storage
  readonly #file: ReadableFile
  readonly #encoded: readonly { readonly at: number; readonly bytes: number; readonly zstd: boolean }[]

  /** @internal Use `openCheckpoint`. */
  constructor(path: string, storage: Storage, file: ReadableFile, format: number, contents: Uint8Array) {
    const { group, signature, epoch, index, control, chunks, sealed } = fromBinary(ContentsSchema, contents)
    this.path = path
    this.isListed = format === LISTED
    this.#storage = storage
    this.#file = file
    this.group = group
    this.signature = signature
    this.position = { epoch, index: Number(index) }
    this.sealed = sealed
    this.manifest = makeManifest(
      control,
      chunks.map(({ items, bytes, hash }) => ({ items, bytes, hash })),
    )
    let at = MAGIC_BYTES
    this.#encoded = chunks.map(({ encodedBytes, zstd }) => {
      const chunk = { at, bytes: encodedBytes, zstd }
      at += encodedBytes
      return chunk
    })
  }

  /** A chunk as it is on disk. */
  readonly chunk = async (index: number): Promise<EncodedChunk> => {
    const chunk = this.#encoded[index]
    if (chunk === undefined) throw new RangeError(`there is no chunk ${index}`)
    if (this.isListed) {
      const name = chunkName(this.manifest.chunks[index]!.hash)
      return await readChunkFile(join(chunksBeside(this.path), name), this.#storage)
    }
    const bytes = await readExactly(this.path, this.#file, chunk.at, chunk.bytes)
    return { encoding: chunk.zstd ? 'zstd' : 'raw', bytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

/** Throws `CheckpointDamaged` for what is none, and `CheckpointMismatch` for one of a newer format. */
export async function openCheckpoint(path: string, storage: Storage): Promise<CheckpointReader> {
  const file = await storage.open(path)
  try {
    const { size } = file
    if (size < MAGIC_BYTES + TRAILER_BYTES) throw new CheckpointDamaged(path, `it has only ${size} bytes`)
    const format = formatOf(path, await readExactly(path, file, 0, MAGIC_BYTES))
    const trailer = await readExactly(path, file, size - TRAILER_BYTES, TRAILER_BYTES)
    if (formatOf(path, trailer.subarray(4 + HASH_BYTES)) !== format) {
      throw new CheckpointDamaged(path, 'its end is of another format than its beginning')
    }
    const length = trailer.readUInt32BE(0)
    if (length > Math.min(size - MAGIC_BYTES - TRAILER_BYTES, CONTENTS_BYTES_MAX)) {
      throw new CheckpointDamaged(path, `its contents would take ${length} bytes`)
    }
    const contents = await readExactly(path, file, size - TRAILER_BYTES - length, length)
    if (!sameBytes(contentsHash(contents), trailer.subarray(4, 4 + HASH_BYTES))) {
      throw new CheckpointDamaged(path, 'the hash of its contents is wrong')
    }
    return new CheckpointReader(path, storage, file, format, contents)
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The hashes of the chunks that an intact checkpoint has, given all of its file. */
export function chunksNamedIn(file: Buffer): Uint8Array[] {
  const end = file.length - TRAILER_BYTES
  const contents = file.subarray(end - file.readUInt32BE(end), end)
  return fromBinary(ContentsSchema, contents).chunks.map(({ hash }) => hash)
}

/** A chunk that is what its hash says. */
export interface VerifiedChunk {
  readonly info: ChunkInfo
  readonly bytes: Uint8Array
  readonly encoded: EncodedChunk
}

/**
 * The chunks in order, decoded, of which some are read ahead. Throws `CheckpointDamaged` or `MalformedChunk`
 * for a chunk that is damaged.
 */
export async function* verifiedChunks(
  { path, manifest, chunk }: Pick<CheckpointReader, 'path' | 'manifest' | 'chunk'>,
  coder: ChunkCoder,
): AsyncGenerator<VerifiedChunk> {
  const read = async (info: ChunkInfo, index: number): Promise<VerifiedChunk> => {
    const encoded = await chunk(index)
    return { info, bytes: await coder.decode(encoded, info.bytes), encoded }
  }
  const ahead: Promise<VerifiedChunk>[] = []
  try {
    for (let index = 0; index < manifest.chunks.length; index++) {
      while (ahead.length < READ_AHEAD && index + ahead.length < manifest.chunks.length) {
        const next = index + ahead.length
        ahead.push(read(manifest.chunks[next]!, next))
        // One that fails is noticed in its turn.
        ahead.at(-1)!.catch(() => {})
      }
      const verified = await ahead.shift()!
      if (!sameBytes(chunkHash(verified.bytes), verified.info.hash)) {
        throw new CheckpointDamaged(path, `the hash of chunk ${index} is wrong`)
      }
      yield verified
    }
  } finally {
    // The file is closed after this.
    await Promise.allSettled(ahead)
  }
}

function magicOf(format: number): Buffer {
  return Buffer.concat([MAGIC, Buffer.of(format)])
}

function formatOf(path: string, bytes: Uint8Array): number {
  if (!sameBytes(bytes.subarray(0, MAGIC.length), MAGIC))
    throw new CheckpointDamaged(path, 'it does not look like one')
  const format = bytes[MAGIC.length]!
  if (format < WHOLE) throw new CheckpointDamaged(path, `there is no format ${format}`)
  if (format > LISTED) throw new CheckpointMismatch(path, 'format', String(format), `format ${LISTED}`)
  return format
}

function contentsHash(contents: Uint8Array): Uint8Array {
  return hash('anchorage 2026 checkpoint 1', contents)
}

async function readExactly(path: string, file: ReadableFile, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let read = 0
  while (read < length) {
    const bytes = await file.read(buffer.subarray(read), at + read)
    if (bytes === 0) throw new CheckpointDamaged(path, `it ends at byte ${at + read}`)
    read += bytes
  }
  return buffer
}
