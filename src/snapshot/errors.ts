import { AnchorageError } from '../errors.ts'

/** Bytes that do not match the manifest's hash, or that match it and are no chunk. */
export class MalformedChunk extends AnchorageError {
  static override readonly code = 'MALFORMED_CHUNK'
  override readonly name = 'MalformedChunk'
}

/**
 * A snapshot cannot be served: it has more chunks or control bytes than a manifest may list, or too large an
 * item.
 */
export class SnapshotTooLarge extends RangeError {
  static readonly code = 'SNAPSHOT_TOO_LARGE'
  override readonly name = 'SnapshotTooLarge'

  get code(): string {
    return SnapshotTooLarge.code
  }
}
