import { randomBytes } from 'node:crypto'
import { headers } from '@nats-io/transport-node'
import type { Message, NewMessage } from '../../message.ts'
import { EntryTooLarge } from '../errors.ts'
import type { LogEntry, NewEntry } from '../log.ts'
import type { Codec, Decoder, Outgoing, Stored } from './codec.ts'
import { EntryDecoder, EntryEncoder } from './entry.ts'
import { isSubject } from './subjects.ts'

/** The stream that messages are for. */
export interface Target {
  readonly maxMessageBytes: number
  readonly place: string
  takes(subject: string): boolean
}

const MESSAGE_ID = 'Nats-Msg-Id'
/** How an id of ours looks, as a header of a message. */
const OWN_ID = /^anchorage\.[\w-]{12}\.[0-9a-z]{1,11}$/
/** More than the headers have that we add, in bytes. */
const OWN_HEADERS_BYTES = 512

export interface ForeignCodecInit {
  readonly epoch: string
  readonly author: string
  /** The subject of the group's own entries. */
  readonly control: string
  readonly target: Target
}

/** A message of a stream of others is a command as it stands, except on the control subject. */
export class ForeignCodec implements Codec {
  readonly #init: ForeignCodecInit
  readonly #encoder: EntryEncoder
  readonly #idPrefix = `anchorage.${randomBytes(9).toString('base64url')}.`
  #count = 0

  constructor(init: ForeignCodecInit) {
    this.#init = init
    this.#encoder = new EntryEncoder(init.epoch, init.author)
  }

  encode(entry: NewEntry): Outgoing {
    const { message, payload } = entry
    if (message === undefined) {
      const { id, data } = this.#encoder.encode(entry)
      return { id, data, subject: this.#init.control }
    }
    this.#check(message, payload)
    const id = this.#idPrefix + (++this.#count).toString(36)
    const { subject, headers } = message
    return { id, data: payload, subject, ...(headers && { headers }) }
  }

  decoder(): Decoder {
    return new ForeignDecoder(this.#init)
  }

  #check({ subject, headers: given = {} }: NewMessage, payload: Uint8Array): void {
    const { control, target } = this.#init
    const { place, maxMessageBytes } = target
    const named = JSON.stringify(subject)
    if (typeof subject !== 'string' || !isSubject(subject)) {
      throw new RangeError(
        `${named} is no subject to publish on: give words with dots between, and no wildcard`,
      )
    }
    if (subject === control) {
      throw new RangeError(`${named} is the subject of the group's own entries: give another one`)
    }
    if (!target.takes(subject)) {
      throw new RangeError(
        `${place}: the stream has no subject ${named}: give one that it takes, or add it there`,
      )
    }
    const bytes = payload.byteLength + headerBytes(given) + OWN_HEADERS_BYTES
    if (bytes > maxMessageBytes) throw new EntryTooLarge(bytes, maxMessageBytes, { place })
  }
}

/** The size of headers. Throws for those that no message can have. */
function headerBytes(given: NonNullable<NewMessage['headers']>): number {
  const header = headers()
  for (const [name, values] of Object.entries(given)) {
    if (name.toLowerCase() === MESSAGE_ID.toLowerCase()) {
      throw new RangeError(`the header ${name} is Anchorage's own: leave it out`)
    }
    try {
      for (const value of [values].flat()) header.append(name, value)
    } catch (cause) {
      throw new RangeError(`the header ${JSON.stringify(name)} cannot be sent: give text of one line`, {
        cause,
      })
    }
  }
  return Buffer.byteLength(header.toString())
}

class ForeignDecoder implements Decoder {
  readonly #epoch: string
  readonly #control: string
  readonly #own = new EntryDecoder()

  constructor({ epoch, control }: ForeignCodecInit) {
    this.#epoch = epoch
    this.#control = control
  }

  decode(index: number, stored: Stored): LogEntry {
    const { msg, timestampMs } = stored
    if (msg.subject === this.#control) return this.#own.decode(index, timestampMs, msg.data)
    return new RawEntry(index, stored, this.#epoch)
  }
}

/**
 * A message of others, or one that was published like theirs. Its headers are parsed when they are asked for: that takes
 * as long as the rest of a message's way through the client.
 */
class RawEntry implements LogEntry {
  readonly index: number
  readonly timestampMs: number
  readonly author = ''
  readonly epoch: string
  readonly kind = 'command'
  readonly payload: Uint8Array
  readonly #stored: Stored
  #headers: Message['headers'] | undefined

  constructor(index: number, stored: Stored, epoch: string) {
    this.index = index
    this.timestampMs = stored.timestampMs
    this.epoch = epoch
    this.payload = stored.msg.data
    this.#stored = stored
  }

  get id(): string {
    const id = this.#parsed[MESSAGE_ID]?.[0]
    return id !== undefined && OWN_ID.test(id) ? id : `@${this.#stored.timeNs}.${this.index}`
  }

  get message(): Message {
    return { subject: this.#stored.msg.subject, headers: this.#parsed }
  }

  /**
   * The servers store whatever bytes others send as headers. Those that the client cannot parse, such as a name with a
   * space in it, must not stop every reader.
   */
  get #parsed(): Message['headers'] {
    if (this.#headers !== undefined) return this.#headers
    try {
      const { headers } = this.#stored.msg
      this.#headers = headers === undefined ? NONE : Object.fromEntries(headers)
    } catch {
      this.#headers = NONE
    }
    return this.#headers
  }
}

const NONE: Message['headers'] = Object.freeze({})
