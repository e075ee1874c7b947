import { AnchorageError } from '../errors.ts'
import { asError } from '../thrown.ts'

/** The machine was written before a replica took it over. */
export class NotAttached extends AnchorageError {
  static override readonly code = 'NOT_ATTACHED'
  override readonly name = 'NotAttached'
  constructor() {
    super(
      'this machine belongs to no replica yet, so there is no log to write to; pass it to createReplica() first',
    )
  }
}

/** The machine was given to a second replica. */
export class AlreadyAttached extends AnchorageError {
  static override readonly code = 'ALREADY_ATTACHED'
  override readonly name = 'AlreadyAttached'
  constructor() {
    super('this machine belongs to a replica already; make one for each replica')
  }
}

/**
 * A command was well formed and could not be obeyed, such as one for an index that is not there. It has changed
 * nothing on any replica. The write rejects with it.
 */
export abstract class Refusal extends AnchorageError {
  static override readonly code: string = 'REFUSAL'
}

/** What a codec is for. */
export type Part = 'key' | 'value' | 'priority'

/** A codec refused a key, value or priority; `cause` is what the codec threw. Nothing was written. */
export class Unencodable extends TypeError {
  static readonly code = 'UNENCODABLE'
  override readonly name = 'Unencodable'
  /** What could not be encoded. */
  readonly part: Part
  /** The codec's name. */
  readonly codec: string
  constructor(part: Part, codec: string, cause: unknown) {
    super(`the ${part} cannot be encoded as ${codec}: ${reason(cause)}`, { cause })
    this.part = part
    this.codec = codec
  }

  get code(): string {
    return Unencodable.code
  }
}

/** A codec cannot read a stored key, value or priority; `cause` is what the codec threw. The state is unharmed. */
export class Undecodable extends AnchorageError {
  static override readonly code = 'UNDECODABLE'
  override readonly name = 'Undecodable'
  /** What could not be read. */
  readonly part: Part
  /** The codec's name. */
  readonly codec: string
  constructor(part: Part, codec: string, cause: unknown) {
    super(
      `a stored ${part} cannot be read as ${codec}: ${reason(cause)}; it was written with another codec, so set or delete it anew`,
      { cause },
    )
    this.part = part
    this.codec = codec
  }
}

/** A key is longer than the limit. Nothing was written. */
export class KeyTooLarge extends RangeError {
  static readonly code = 'KEY_TOO_LARGE'
  override readonly name = 'KeyTooLarge'
  /** The size of the encoded key, in bytes. */
  readonly bytes: number
  /** The limit, in bytes. */
  readonly bytesMax: number
  constructor(bytes: number, bytesMax: number) {
    super(
      `a key of ${bytes} bytes is beyond the limit of ${bytesMax}; use a shorter one, such as a hash of it`,
    )
    this.bytes = bytes
    this.bytesMax = bytesMax
  }

  get code(): string {
    return KeyTooLarge.code
  }
}

/** Bytes are not a snapshot item of this machine, or items are out of order. Nothing was installed. */
export class MalformedItem extends AnchorageError {
  static override readonly code = 'MALFORMED_ITEM'
  override readonly name = 'MalformedItem'
}

/** A snapshot was read after its release. */
export class SnapshotReleased extends AnchorageError {
  static override readonly code = 'SNAPSHOT_RELEASED'
  override readonly name = 'SnapshotReleased'
  constructor(when = '') {
    super(`this snapshot was released${when}; capture another one`)
  }
}

function reason(cause: unknown): string {
  return asError(cause).message
}
