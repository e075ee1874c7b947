import { createHash } from 'node:crypto'
import {
  DiscardPolicy,
  JetStreamApiCodes,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
  type StreamInfoRequestOptions,
} from '@nats-io/jetstream'
import { nanos, nuid } from '@nats-io/transport-node'
import { EPOCH_BYTES_MAX } from '../../bounds.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { Binding, keptSignature, type Upgrade } from '../binding.ts'
import { EpochChanged, LogMissing, LogUnavailable, LogUnusable } from '../errors.ts'
import type { LogInit, LogTail, SignalOptions } from '../log.ts'
import { codeOf, type Link } from './link.ts'

export interface StreamOptions {
  readonly name: string
  readonly create: boolean
  readonly replicas: 1 | 3 | 5 | undefined
  readonly duplicateWindowMs: number
}

/** How far the stream reached at one look. */
export interface StreamTail {
  /** The oldest entry that can be read; `newest.index + 1` if none can. */
  readonly first: number
  readonly newest: LogTail
}

/** The longest name of a stream. It leaves room for the name of the bucket that is derived from it. */
const STREAM_NAME_LENGTH_MAX = 200
const STREAM_NAME = new RegExp(`^[\\w-]{1,${STREAM_NAME_LENGTH_MAX}}$`)
/**
 * The longest name of a bucket. On the servers a name is a folder's too, with 255 characters at most, and the
 * name of a bucket's stream begins with `KV_`.
 */
const BUCKET_NAME_LENGTH_MAX = 252
/** If a group's name is too long for a stream's: how many characters of it are used, to recognise it. */
const GROUP_PART_LENGTH = 60
/** If a group's name is too long: how many hexadecimal digits of its hash tell it from others, 128 bits. */
const GROUP_HASH_LENGTH = 32
/** JetStream's code for a stream that exists with other settings. */
const NAME_IN_USE = 10_058
/** A new stream is settled once the cluster has described the same one this many times more. */
const SETTLED_LOOKS = 2
/** A new stream that is not settled after this many looks, 10 seconds, is given up. */
const SETTLED_LOOKS_MAX = 50
/** How long the servers of a cluster may report that the stream is missing before it counts as gone. */
const GONE_CONFIRM_MS = 5_000
/**
 * Two streams of the same subject that were made further apart than this are different ones: the younger was
 * made from a saved configuration.
 */
const MADE_APART_MS = 60_000
/** Time between two looks at a new stream, in milliseconds. */
const SETTLING_MS = 200

/** The settings on which an entry's place in the log depends. The operator may choose all others. */
const REQUIRED: Partial<StreamConfig> = {
  retention: RetentionPolicy.Limits,
  storage: StorageType.File,
  deny_delete: true,
  deny_purge: false,
  allow_rollup_hdrs: false,
  max_msgs_per_subject: -1,
  sealed: false,
}
/** Features that would add messages to the stream, or remove some, without our doing. */
const FORBIDDEN = ['mirror', 'sources', 'subject_transform', 'no_ack', 'allow_msg_ttl'] as const

/** The stream that holds a group's entries: an entry's index is its sequence number. */
export class Stream {
  readonly name: string
  /** The stream's identity. A stream that is made again has another. */
  readonly epoch: string
  readonly #link: Link
  #config: StreamConfig
  readonly #madeMs: number
  #binding: Binding
  #tail: StreamTail
  #leader: string | undefined

  /** Open the group's stream. It is made if there is none. */
  static async open(link: Link, init: LogInit, options: StreamOptions): Promise<Stream> {
    const { group, signature, signal } = init
    const { name } = options
    const { clock } = link
    const made: Partial<StreamConfig> & { name: string } = {
      ...REQUIRED,
      name,
      // The subject is random. A stream that is made again has another, so messages for the old stream do not
      // get into the new one.
      subjects: [`anchorage.${name}.${nuid.next()}`],
      ...(signature !== undefined && {
        description: describe(new Binding(group, keptSignature(signature, init))),
      }),
      discard: DiscardPolicy.Old,
      num_replicas: options.replicas ?? 1,
      duplicate_window: nanos(options.duplicateWindowMs),
    }
    const info = await link.ask(
      async (jsm) => {
        try {
          return await settled(jsm, await streamInfo(jsm, name), clock, signal)
        } catch (error) {
          if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
        }
        if (!options.create) return undefined
        try {
          return await settled(jsm, await jsm.streams.add(made), clock, signal)
        } catch (error) {
          // Another process makes the stream, or it was deleted since. The next try will tell.
          const passes = [NAME_IN_USE, JetStreamApiCodes.StreamNotFound].includes(codeOf(error) ?? 0)
          throw passes ? new LogUnavailable('the stream is being made') : error
        }
      },
      { ...(signal && { signal }) },
    )
    if (info === undefined) throw new LogMissing(link.place)
    const binding = check(info.config, init, options, link.place)
    return new Stream(link, info, binding)
  }

  private constructor(link: Link, info: StreamInfo, binding: Binding) {
    this.#link = link
    this.name = info.config.name
    this.epoch = epochOf(info)
    this.#config = info.config
    this.#madeMs = madeMs(info)
    this.#binding = binding
    this.#tail = tailOf(info)
    this.#leader = info.cluster?.leader
  }

  /** The stream's name and its servers, for messages. */
  get place(): string {
    return this.#link.place
  }

  /** The subject on which entries are published. */
  get subject(): string {
    return this.#config.subjects[0]!
  }

  /** Two messages with the same id within this time are one entry, in milliseconds. */
  get duplicateWindowMs(): number {
    return this.#config.duplicate_window / 1e6
  }

  /** How many servers keep the stream. An operator may change that, and the window, at any time. */
  get replicas(): number {
    return this.#config.num_replicas
  }

  /** The leader at the last look, if several servers keep the stream. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Whose log it is, as of the last look. */
  get binding(): Binding {
    return this.#binding
  }

  /** How far the stream reached at the last look. */
  get tail(): StreamTail {
    return this.#tail
  }

  /**
   * Ask how far the stream reaches now. Rejects with `EpochChanged` if it is gone or another one, and with
   * `LogUnavailable`.
   */
  async look(options?: SignalOptions): Promise<StreamTail> {
    const { clock } = this.#link
    const beganMs = clock.now()
    const info = await this.#link.ask(async (jsm) => {
      try {
        return await streamInfo(jsm, this.name)
      } catch (error) {
        if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
        // A cluster that has just started may not know all its streams yet.
        const isSure = this.replicas === 1 || clock.now() - beganMs > GONE_CONFIRM_MS
        if (!isSure) throw new LogUnavailable('the stream is not there')
        throw new EpochChanged(this.epoch, undefined, { place: this.place })
      }
    }, options)
    const epoch = epochOf(info)
    const { place } = this
    if (epoch !== this.epoch) throw new EpochChanged(this.epoch, epoch, { place })
    if (Math.abs(madeMs(info) - this.#madeMs) > MADE_APART_MS) {
      throw new EpochChanged(this.epoch, `${epoch}, made again at ${info.created}`, { place })
    }
    if (info.config.description !== this.#config.description)
      this.#binding = bindingIn(info.config.description) ?? this.#binding
    this.#config = info.config
    this.#tail = tailOf(info)
    this.#leader = info.cluster?.leader
    return this.#tail
  }

  /**
   * The servers change a stream without comparing. Of two notes at once, and of a note and an operator's
   * change within the same milliseconds, the later one counts: whoever leads looks again, and notes again.
   */
  async noteUpgrade(upgrade: Upgrade, options?: SignalOptions): Promise<void> {
    await this.look(options)
    if (!this.#binding.isNews(upgrade)) return
    const description = describe(this.#binding.noted(upgrade))
    await this.#link.ask((jsm) => jsm.streams.update(this.name, { description }), options)
    await this.look(options)
  }

  async purge(upTo: number, options?: SignalOptions): Promise<void> {
    await this.#link.ask((jsm) => jsm.streams.purge(this.name, { seq: upTo + 1 }), options)
  }
}

/**
 * The leader's view of a stream. Without a leader it throws: a server of a cluster that lost its majority
 * goes on answering for minutes, with what it last knew.
 */
export async function streamInfo(
  jsm: JetStreamManager,
  name: string,
  options?: Partial<StreamInfoRequestOptions>,
): Promise<StreamInfo> {
  const info = await jsm.streams.info(name, options)
  if (info.cluster !== undefined && !info.cluster.leader) throw new LogUnavailable('the stream has no leader')
  return info
}

/**
 * Wait until the cluster agrees on a new stream. Several processes may make it at once, and for a moment the
 * servers may each describe another one.
 */
async function settled(
  jsm: JetStreamManager,
  found: StreamInfo,
  clock: Clock,
  signal?: AbortSignal,
): Promise<StreamInfo> {
  let info = found
  if (info.cluster === undefined) return info
  for (let looks = 0, same = 0; same < SETTLED_LOOKS && info.state.last_seq === 0; looks++) {
    if (looks >= SETTLED_LOOKS_MAX) throw new LogUnavailable('its servers do not agree on the stream')
    await sleep(clock, SETTLING_MS, signal)
    const again = await streamInfo(jsm, info.config.name)
    same = epochOf(again) === epochOf(info) ? same + 1 : 0
    info = again
  }
  return info
}

/**
 * The epoch: the last word of the stream's subject, which was chosen at random when the stream was made. Its
 * creation time would not do: if several processes make a stream at once, the servers of a cluster may each
 * report another time, and yet another later.
 */
function epochOf({ config }: StreamInfo): string {
  return epochIn(config.subjects[0]!)
}

function epochIn(subject: string): string {
  return subject.split('.').at(-1)!
}

function madeMs({ created }: StreamInfo): number {
  return Date.parse(String(created))
}

/**
 * Encodes a text as a name for streams, buckets and keys. Each byte that they may not hold becomes `_` and
 * two hexadecimal digits.
 */
export function encodeName(text: string): string {
  return Array.from(Buffer.from(text), (byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9-]/.test(character) ? character : `_${byte.toString(16).padStart(2, '0')}`
  }).join('')
}

/**
 * The default name of a group's stream. For a long group name, it has the beginning of the name and a hash of
 * it.
 */
export function streamName(group: string): string {
  const name = `anchorage-${encodeName(group)}`
  if (isStreamName(name)) return name
  const hash = createHash('sha256').update(group).digest('hex').slice(0, GROUP_HASH_LENGTH)
  return `${name.slice(0, GROUP_PART_LENGTH)}-${hash}`
}

/** Throws for a name that a stream cannot have, or that its bucket cannot have. */
export function checkStreamName(name: string): void {
  if (isStreamName(name)) return
  throw new RangeError(
    `stream is ${JSON.stringify(name.slice(0, STREAM_NAME_LENGTH_MAX))}; give 1 to ${STREAM_NAME_LENGTH_MAX} letters, digits, - and _, and with two more for each _ at most ${BUCKET_NAME_LENGTH_MAX}`,
  )
}

function isStreamName(name: string): boolean {
  return STREAM_NAME.test(name) && encodeName(name).length <= BUCKET_NAME_LENGTH_MAX
}

/** Returns whose log it is. */
function check(config: StreamConfig, init: LogInit, { replicas }: StreamOptions, place: string): Binding {
  const { num_replicas, subjects } = config
  const binding = bindingIn(config.description)
  if (binding === undefined)
    throw new LogUnusable('the stream is no log of Anchorage; remove it, or name another', { place })
  binding.check(init, { place })
  const wrong = Object.entries(REQUIRED).flatMap(([key, wanted]) => {
    const found = config[key as keyof StreamConfig] ?? wanted
    return found === wanted ? [] : [`${key} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`]
  })
  for (const feature of FORBIDDEN) if (config[feature]) wrong.push(`${feature} is set`)
  if (subjects?.length !== 1) wrong.push(`it has ${subjects?.length ?? 0} subjects, not one`)
  else if (epochIn(subjects[0]!).length > EPOCH_BYTES_MAX) {
    wrong.push(`the last word of its subject has more than ${EPOCH_BYTES_MAX} characters`)
  }
  if (replicas !== undefined && num_replicas < replicas) {
    wrong.push(`it is kept by ${num_replicas} of the servers, not by ${replicas}`)
  }
  if (wrong.length > 0) {
    throw new LogUnusable(
      `the stream is configured otherwise than a log must be: ${wrong.join('; ')}; change it, or use another group`,
      { place },
    )
  }
  return binding
}

/**
 * Stands in the place of the signature once an upgrade is noted, which version 0.1.0 would not obey: that refuses the
 * stream then, and quotes this.
 */
const UPGRADED_SIGNATURE = 'of a newer version of anchorage: install the one that the other replicas run'

/**
 * A stream's description. Version 0.1.0 reads the first three fields, and no others. Only the newest upgrade is kept,
 * because a description has 4 KiB at most.
 */
function describe({ group, kept, upgrades }: Binding): string {
  const upgraded = upgrades.at(-1)
  if (upgraded === undefined) return JSON.stringify({ anchorage: 1, group, signature: kept })
  return JSON.stringify({ anchorage: 1, group, signature: UPGRADED_SIGNATURE, made: kept, upgraded })
}

function bindingIn(description = ''): Binding | undefined {
  try {
    const { anchorage, group, signature: first, made: signature = first, upgraded } = JSON.parse(description)
    if (anchorage !== 1 || typeof group !== 'string' || typeof signature !== 'string') return undefined
    return new Binding(group, signature, isUpgrade(upgraded) ? [upgraded] : [])
  } catch {
    return undefined
  }
}

function isUpgrade(value: unknown): value is Upgrade {
  if (typeof value !== 'object' || value === null) return false
  const { signature, at } = value as Partial<Upgrade>
  return typeof signature === 'string' && Number.isSafeInteger(at)
}

function tailOf({ state }: StreamInfo): StreamTail {
  const { messages, first_seq, last_seq, last_ts } = state
  return {
    first: messages === 0 ? last_seq + 1 : first_seq,
    newest: { index: last_seq, timestampMs: last_seq === 0 ? 0 : Date.parse(String(last_ts)) },
  }
}
