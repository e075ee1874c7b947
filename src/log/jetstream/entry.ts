import { randomBytes } from 'node:crypto'
import { LogUnusable } from '../errors.ts'
import type { EntryKind, LogEntry, NewEntry } from '../log.ts'

/**
 * The version of a message's data, which is its first byte. The kind follows, then the lengths of epoch,
 * author and id, a byte each, then those three. The rest is the payload.
 */
const VERSION = 1
/** The kinds of entries. The index of one is its byte in a message. */
const KINDS: readonly EntryKind[] = ['command', 'control']
/** The offset of the three lengths: behind version and kind. */
const LENGTHS_AT = 2
/** The length of version, kind and the three lengths. */
const HEAD_BYTES = 5
/** The longest epoch, author or id: its length is one byte. */
const NAME_BYTES_MAX = 255
/** More than a message has besides its payload: the head of its data, and NATS's own header with the id. */
const OVERHEAD_BYTES_MAX = HEAD_BYTES + 3 * NAME_BYTES_MAX + 256

/** The largest payload of an entry, in bytes, if a server takes messages of `maxMessageBytes`. */
export function maxPayloadOf(maxMessageBytes: number): number {
  return maxMessageBytes - OVERHEAD_BYTES_MAX
}

export interface Encoded {
  readonly id: string
  readonly data: Uint8Array
}

/** Makes the messages of one handle. Every entry has a unique id. */
export class EntryEncoder {
  readonly #epoch: Buffer
  readonly #author: Buffer
  readonly #idPrefix = `${randomBytes(9).toString('base64url')}.`
  #count = 0

  constructor(epoch: string, author: string) {
    this.#epoch = Buffer.from(epoch)
    this.#author = Buffer.from(author)
    if (this.#author.length > NAME_BYTES_MAX) {
      throw new RangeError(
        `an author is named by at most ${NAME_BYTES_MAX} bytes, not ${this.#author.length}`,
      )
    }
    if (this.#epoch.length > NAME_BYTES_MAX) throw new LogUnusable(`the epoch ${epoch} is too long`)
  }

  encode({ kind, payload }: NewEntry): Encoded {
    const id = this.#idPrefix + (++this.#count).toString(36)
    const [epoch, author] = [this.#epoch, this.#author]
    const headBytes = HEAD_BYTES + epoch.length + author.length + id.length
    const data = Buffer.allocUnsafe(headBytes + payload.byteLength)
    data[0] = VERSION
    data[1] = KINDS.indexOf(kind)
    data[LENGTHS_AT] = epoch.length
    data[LENGTHS_AT + 1] = author.length
    data[LENGTHS_AT + 2] = id.length
    data.set(epoch, HEAD_BYTES)
    data.set(author, HEAD_BYTES + epoch.length)
    data.write(id, HEAD_BYTES + epoch.length + author.length, 'latin1')
    data.set(payload, headBytes)
    return { id, data }
  }
}

/**
 * Reads messages. Most entries have the same epoch and author as the one before, so the decoded texts are
 * reused.
 */
export class EntryDecoder {
  readonly #epoch = new LastText()
  readonly #author = new LastText()

  /** A message that is not ours is read as an entry of an empty epoch, which does nothing. */
  decode(index: number, timestampMs: number, data: Uint8Array): LogEntry {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const kind = KINDS[bytes[1]!]
    const epochAt = HEAD_BYTES
    const authorAt = epochAt + bytes[LENGTHS_AT]!
    const idAt = authorAt + bytes[LENGTHS_AT + 1]!
    const payloadAt = idAt + bytes[LENGTHS_AT + 2]!
    if (bytes[0] !== VERSION || kind === undefined || !(payloadAt <= bytes.length)) {
      return {
        index,
        timestampMs,
        author: '',
        id: `foreign.${index}`,
        epoch: '',
        kind: 'command',
        payload: data,
      }
    }
    return {
      index,
      timestampMs,
      author: this.#author.read(bytes, authorAt, idAt),
      id: bytes.toString('latin1', idAt, payloadAt),
      epoch: this.#epoch.read(bytes, epochAt, authorAt),
      kind,
      payload: bytes.subarray(payloadAt),
    }
  }
}

class LastText {
  #bytes = Buffer.alloc(0)
  #text = ''

  read(bytes: Buffer, start: number, end: number): string {
    if (this.#bytes.compare(bytes, start, end) !== 0) {
      this.#bytes = Buffer.from(bytes.subarray(start, end))
      this.#text = this.#bytes.toString()
    }
    return this.#text
  }
}
