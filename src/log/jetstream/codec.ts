import type { MsgHdrs } from '@nats-io/transport-node'
import type { NewMessage } from '../../message.ts'
import type { LogEntry, NewEntry } from '../log.ts'
import { type Encoded, EntryDecoder, type EntryEncoder } from './entry.ts'

/** A message as a stream holds it. */
export interface Stored {
  readonly timestampMs: number
  /** The server's time when it was stored, in nanoseconds since 1970. */
  readonly timeNs: string
  readonly msg: {
    readonly subject: string
    readonly data: Uint8Array
    /** They are parsed when they are read, which throws for some that others can send. */
    readonly headers?: MsgHdrs | undefined
  }
}

/** A message to publish under its id. */
export interface Outgoing extends Encoded {
  readonly subject: string
  readonly headers?: NewMessage['headers']
}

/** Turns entries into messages for one handle, and back. */
export interface Codec {
  /** Throws, for an entry that the stream does not take. */
  encode(entry: NewEntry): Outgoing
  /** For one reader. */
  decoder(): Decoder
}

export interface Decoder {
  decode(index: number, stored: Stored): LogEntry
}

/** Each entry is a message on the one subject of a stream that is ours. */
export class OwnCodec implements Codec {
  readonly #encoder: EntryEncoder
  readonly #subject: string

  constructor(encoder: EntryEncoder, subject: string) {
    this.#encoder = encoder
    this.#subject = subject
  }

  encode(entry: NewEntry): Outgoing {
    const { id, data } = this.#encoder.encode(entry)
    return { id, data, subject: this.#subject }
  }

  decoder(): Decoder {
    const decoder = new EntryDecoder()
    return { decode: (index, { timestampMs, msg }) => decoder.decode(index, timestampMs, msg.data) }
  }
}
