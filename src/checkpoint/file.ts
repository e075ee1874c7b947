import { dirname } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { sameBytes } from '../bytes.ts'
import type { Position } from '../position.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { HASH_BYTES, hash } from '../snapshot/hash.ts'
import { chunkHash, type Manifest, makeManifest } from '../snapshot/manifest.ts'
import { CheckpointDamaged, CheckpointMismatch } from './errors.ts'
import { ContentsSchema } from './pb/checkpoint_pb.js'
import type { ReadableFile, Storage, WritableFile } from './storage.ts'

/**
 * A checkpoint is one file: a magic number with the format's version, the encoded chunks back to back as they
 * are served, the `Contents` message, and a trailer of fixed size: the message's length as an unsigned 32-bit
 * big-endian integer, its hash, and the magic number again. It is written under another
 * name, flushed, and renamed. So the file under a checkpoint's name is whole, whatever happens.
 */
const MAGIC = Buffer.from('ANCHCKP')
const FORMAT = 1
const MAGIC_BYTES = MAGIC.length + 1
const TRAILER_BYTES = 4 + HASH_BYTES + MAGIC_BYTES
/** The longest `Contents`, which is held before its hash is checked. 256 MiB list 4 million chunks. */
const CONTENTS_BYTES_MAX = 256 * 1024 * 1024

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

/** Write a checkpoint to `path`, whole or not at all. Resolves with its size in bytes. */
export async function writeCheckpoint(
  path: string,
  storage: Storage,
  source: CheckpointSource,
  signal: AbortSignal,
): Promise<number> {
  const draft = `${path}.new`
  try {
    const file = await storage.create(draft)
    let bytes: number
    try {
      bytes = await writeAll(file, source, signal)
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

async function writeAll(file: WritableFile, source: CheckpointSource, signal: AbortSignal): Promise<number> {
  const { group, signature, position, sealed, manifest } = source
  const magic = Buffer.concat([MAGIC, Buffer.of(FORMAT)])
  await file.write(magic, 0)
  let bytes = magic.length
  const chunks = []
  for (const [index, info] of manifest.chunks.entries()) {
    signal.throwIfAborted()
    const encoded = await source.chunk(index)
    await file.write(encoded.bytes, bytes)
    bytes += encoded.bytes.length
    chunks.push({ ...info, encodedBytes: encoded.bytes.length, zstd: encoded.encoding === 'zstd' })
  }
  const contents = toBinary(
    ContentsSchema,
    create(ContentsSchema, {
      group,
      signature,
      epoch: position.epoch,
      index: BigInt(position.index),
      control: manifest.control,
      chunks,
      sealed,
    }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(contents.length)
  await file.write(Buffer.concat([contents, length, contentsHash(contents), magic]), bytes)
  return bytes + contents.length + TRAILER_BYTES
}

/** An open checkpoint whose contents are known and checked. Its chunks are not: see `verifiedChunks`. */
export class CheckpointReader implements CheckpointOf, AsyncDisposable {
  readonly path: string
  readonly group: string
  readonly signature: string
  readonly position: Position
  readonly sealed: boolean
  readonly manifest: Manifest
  readonly #file: ReadableFile
  readonly #encoded: readonly { readonly at: number; readonly bytes: number; readonly zstd: boolean }[]

  /** @internal Use `openCheckpoint`. */
  constructor(path: string, file: ReadableFile, contents: Uint8Array) {
    const { group, signature, epoch, index, control, chunks, sealed } = fromBinary(ContentsSchema, contents)
    this.path = path
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

  /** A chunk as it lies in the file. */
  readonly chunk = async (index: number): Promise<EncodedChunk> => {
    const chunk = this.#encoded[index]
    if (chunk === undefined) throw new RangeError(`there is no chunk ${index}`)
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
    checkMagic(path, await readExactly(path, file, 0, MAGIC_BYTES))
    const trailer = await readExactly(path, file, size - TRAILER_BYTES, TRAILER_BYTES)
    checkMagic(path, trailer.subarray(4 + HASH_BYTES))
    const length = trailer.readUInt32BE(0)
    if (length > Math.min(size - MAGIC_BYTES - TRAILER_BYTES, CONTENTS_BYTES_MAX)) {
      throw new CheckpointDamaged(path, `its contents would take ${length} bytes`)
    }
    const contents = await readExactly(path, file, size - TRAILER_BYTES - length, length)
    if (!sameBytes(contentsHash(contents), trailer.subarray(4, 4 + HASH_BYTES))) {
      throw new CheckpointDamaged(path, 'the hash of its contents is wrong')
    }
    return new CheckpointReader(path, file, contents)
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * The chunks in order, decoded. Throws `CheckpointDamaged` or `MalformedChunk` for a chunk that is damaged.
 */
export async function* verifiedChunks(
  { path, manifest, chunk }: Pick<CheckpointReader, 'path' | 'manifest' | 'chunk'>,
  coder: ChunkCoder,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly items: number; readonly encoded: EncodedChunk }> {
  for (const [index, info] of manifest.chunks.entries()) {
    const encoded = await chunk(index)
    const bytes = await coder.decode(encoded, info.bytes)
    if (!sameBytes(chunkHash(bytes), info.hash)) {
      throw new CheckpointDamaged(path, `the hash of chunk ${index} is wrong`)
    }
    yield { bytes, items: info.items, encoded }
  }
}

function checkMagic(path: string, bytes: Uint8Array): void {
  if (!sameBytes(bytes.subarray(0, MAGIC.length), MAGIC))
    throw new CheckpointDamaged(path, 'it does not look like one')
  const format = bytes[MAGIC.length]!
  if (format > FORMAT) throw new CheckpointMismatch(path, 'format', String(format), `format ${FORMAT}`)
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
