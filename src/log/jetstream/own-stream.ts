import {
  DiscardPolicy,
  JetStreamApiCodes,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream'
import { nanos, nuid } from '@nats-io/transport-node'
import { EPOCH_BYTES_MAX } from '../../bounds.ts'
import { Binding, keptSignature, type Upgrade } from '../binding.ts'
import { EpochChanged, LogMissing, LogUnavailable, LogUnusable } from '../errors.ts'
import type { LogInit, SignalOptions } from '../log.ts'
import { type Codec, OwnCodec } from './codec.ts'
import { EntryEncoder } from './entry.ts'
import { codeOf, type Link } from './link.ts'
import { encodeName } from './names.ts'
import { Numbering } from './numbering.ts'
import { Stream, settled, streamInfo } from './stream.ts'

export interface OwnStreamOptions {
  readonly name: string
  readonly create: boolean
  readonly replicas: 1 | 3 | 5 | undefined
  readonly duplicateWindowMs: number
}

/** JetStream's code for a stream that exists with other settings. */
const NAME_IN_USE = 10_058
/**
 * Two streams of the same subject that were made further apart than this are different ones: the younger was
 * made from a saved configuration.
 */
const MADE_APART_MS = 60_000
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

/** A stream that Anchorage made for a group: an entry's index is its sequence number. */
export class OwnStream extends Stream {
  override readonly epoch: string
  override readonly hasMessages = false
  override readonly prunes = true
  /** A stream that is made anew has another subject. */
  override readonly isFresh = true
  /** The servers' own limit counts alone. */
  override readonly maxMessageBytes = Number.POSITIVE_INFINITY
  readonly #madeMs: number
  #binding: Binding

  /** Open the group's stream. It is made if there is none. */
  static async open(link: Link, init: LogInit, options: OwnStreamOptions): Promise<OwnStream> {
    const { group, signature, signal } = init
    const { name } = options
    const settling = { identityOf: epochOf, clock: link.clock, signal }
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
          return await settled(jsm, await streamInfo(jsm, name), settling)
        } catch (error) {
          if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
        }
        if (!options.create) return undefined
        try {
          return await settled(jsm, await jsm.streams.add(made), settling)
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
    return new OwnStream(link, info, binding)
  }

  private constructor(link: Link, info: StreamInfo, binding: Binding) {
    super(link, info, new Numbering())
    this.epoch = epochOf(info)
    this.#madeMs = madeMs(info)
    this.#binding = binding
  }

  override get binding(): Binding {
    return this.#binding
  }

  override get bucket(): string {
    return encodeName(this.name)
  }

  override get writtenName(): string {
    return this.name
  }

  override get duplicateWindowMs(): number {
    return this.config.duplicate_window / 1e6
  }

  override codec(author: string): Codec {
    return new OwnCodec(new EntryEncoder(this.epoch, author), this.config.subjects[0]!)
  }

  protected override async verify(info: StreamInfo): Promise<void> {
    const epoch = epochOf(info)
    const { place } = this
    if (epoch !== this.epoch) throw new EpochChanged(this.epoch, epoch, { place })
    if (Math.abs(madeMs(info) - this.#madeMs) > MADE_APART_MS) {
      throw new EpochChanged(this.epoch, `${epoch}, made again at ${info.created}`, { place })
    }
    if (info.config.description !== this.config.description)
      this.#binding = bindingIn(info.config.description) ?? this.#binding
  }

  /**
   * The servers change a stream without comparing. Of two notes at once, and of a note and an operator's
   * change within the same milliseconds, the later one counts: whoever leads looks again, and notes again.
   */
  override async noteUpgrade(upgrade: Upgrade, options?: SignalOptions): Promise<void> {
    await this.look(options)
    if (!this.#binding.isNews(upgrade)) return
    const description = describe(this.#binding.noted(upgrade))
    await this.link.ask((jsm) => jsm.streams.update(this.name, { description }), options)
    await this.look(options)
  }
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

/** It never says to remove the stream: it may be all that others have. */
const NOT_OURS =
  'if others write it, give `control` to follow it (see docs/backends/stream-of-others.md); or name another'

/** Returns whose log it is. */
function check(config: StreamConfig, init: LogInit, { replicas }: OwnStreamOptions, place: string): Binding {
  const { num_replicas, subjects } = config
  const binding = bindingIn(config.description)
  if (binding === undefined)
    throw new LogUnusable(`the stream is no log of Anchorage: ${NOT_OURS}`, { place })
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

function madeMs({ created }: StreamInfo): number {
  return Date.parse(String(created))
}
