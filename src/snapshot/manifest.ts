import { SnapshotTooLarge } from './errors.ts'
import { HASH_BYTES, Hashing, hash } from './hash.ts'

/**
 * The most chunks of one snapshot: 256 GiB in chunks of 1 MiB. It bounds what a list of chunks can make a
 * replica hold.
 */
export const MANIFEST_CHUNKS_MAX = 262_144
/** The most control bytes of one snapshot. It bounds what a manifest can make a replica hold. */
export const CONTROL_BYTES_MAX = 1024 * 1024

/** Throws `SnapshotTooLarge` if a manifest cannot carry these control bytes. */
export function checkControl(control: Uint8Array): void {
  if (control.length <= CONTROL_BYTES_MAX) return
  throw new SnapshotTooLarge(`${control.length} control bytes are beyond the limit of ${CONTROL_BYTES_MAX}`)
}

/** One chunk as the manifest lists it. */
export interface ChunkInfo {
  /** Number of items, at least 1. */
  readonly items: number
  /** Size of the chunk, at least `items`: each item is preceded by its length. */
  readonly bytes: number
  /** The hash of the chunk's bytes, before they are encoded for the way. */
  readonly hash: Uint8Array
}

/**
 * What a snapshot consists of. With the root, a joiner can verify the manifest, and with the manifest each
 * chunk alone.
 */
export interface Manifest {
  /**
   * The host's own bytes beside the machine's items. They are opaque here, covered by the root, and given
   * back on install.
   */
  readonly control: Uint8Array
  /** Every chunk, in the order of the items. */
  readonly chunks: readonly ChunkInfo[]
  /** What the group agrees on: a hash over all of this. */
  readonly root: Uint8Array
}

/** One chunk as the root covers it: number of items, size and hash. */
const CHUNK_INFO_BYTES = 8 + HASH_BYTES

/**
 * Makes a manifest and its root. The root is a hash over the control bytes (preceded by their length) and
 * every chunk in order: its number of items and its size, as unsigned 32-bit big-endian integers, and its
 * hash.
 */
export function makeManifest(control: Uint8Array, chunks: readonly ChunkInfo[]): Manifest {
  const list = Buffer.alloc(4 + chunks.length * CHUNK_INFO_BYTES)
  list.writeUInt32BE(control.length, 0)
  let at = 4
  for (const chunk of chunks) {
    list.writeUInt32BE(chunk.items, at)
    list.writeUInt32BE(chunk.bytes, at + 4)
    list.set(chunk.hash, at + 8)
    at += CHUNK_INFO_BYTES
  }
  return { control, chunks, root: hash('anchorage 2026 root 1', list, control) }
}

const CHUNK_DOMAIN = 'anchorage 2026 chunk 1'

export function chunkHash(bytes: Uint8Array): Uint8Array {
  return hash(CHUNK_DOMAIN, bytes)
}

/** The hash of a chunk whose bytes come one after the other. */
export function chunkHashing(): Hashing {
  return new Hashing(CHUNK_DOMAIN)
}

export function totalItems(manifest: Manifest): number {
  return manifest.chunks.reduce((sum, chunk) => sum + chunk.items, 0)
}

export function totalBytes(manifest: Manifest): number {
  return manifest.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0)
}
