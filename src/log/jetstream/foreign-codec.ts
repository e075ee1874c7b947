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

/** A message of others, or one that was published like theirs. */
class RawEntry implements LogEntry {
  readonly index: number
  readonly timestampMs: number
  readonly id: string
  readonly epoch: string
  readonly payload: Uint8Array
  readonly author = ''
  readonly kind = 'command'
  readonly message: Message

  constructor(index: number, { timestampMs, timeNs, msg }: Stored, epoch: string) {
    const headers = headersIn(msg)
    const id = headers[MESSAGE_ID]?.[0]
    this.index = index
    this.timestampMs = timestampMs
    this.id = id !== undefined && OWN_ID.test(id) ? id : `@${timeNs}.${index}`
    this.epoch = epoch
    this.payload = msg.data
    this.message = { subject: msg.subject, headers }
  }
}

const NONE: Message['headers'] = Object.freeze({})

/**
 * Others may write names that NATS's client for JavaScript refuses to read. Such a message has no headers: it must not
 * stop the log.
 */
function headersIn(msg: Stored['msg']): Message['headers'] {
  try {
    return msg.headers === undefined ? NONE : Object.fromEntries(msg.headers)
  } catch {
    return NONE
  }
}
