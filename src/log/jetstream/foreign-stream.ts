import {
  JetStreamApiCodes,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream'
import { Binding, type Upgrade } from '../binding.ts'
import { EpochChanged, LogMissing, LogRefused, LogUnavailable, LogUnusable } from '../errors.ts'
import type { LogInit, SignalOptions } from '../log.ts'
import type { Codec } from './codec.ts'
import { ForeignCodec, type Target } from './foreign-codec.ts'
import { epochOf, type ForeignRecord, ForeignRecords, type Found, type Witness } from './foreign-record.ts'
import { faultsOf, takes } from './foreign-rules.ts'
import { startOf } from './foreign-start.ts'
import { codeOf, type Link } from './link.ts'
import { bucketName } from './names.ts'
import { Numbering } from './numbering.ts'
import { type LogBeginning, POLL_MS } from './options.ts'
import { nanosOf } from './server-time.ts'
import { Stream, settled, streamInfo } from './stream.ts'

export interface ForeignStreamOptions {
  readonly name: string
  readonly create: boolean
  readonly control: string
  readonly from?: LogBeginning
  readonly addControlSubject?: boolean
  readonly prune?: boolean
  readonly pollMs?: number
}

/** JetStream's codes for a message that is not there, and a stream that is not. */
const GONE: readonly (number | undefined)[] = [
  JetStreamApiCodes.NoMessageFound,
  JetStreamApiCodes.StreamNotFound,
]
/**
 * Servers of a cluster may disagree on when a stream was made, if several clients made it at once: 2.9 does, by half a
 * millisecond. An empty stream whose moments are nearer than this, 100 ms, is one.
 */
const MADE_APART_NS = 100_000_000
/** How often a record is read again because another program wrote it meanwhile. */
const TRIES = 20
/** How long a handle waits before it writes a new witness, in milliseconds: fast streams have a new one each second. */
const WITNESS_MS = 60_000

/** What a second group of a stream does. */
const ANOTHER = 'give the group a control subject of its own'

/** A look is fresh for so many polls: a reader looks at each, so a replica that writes need not look besides. */
const FRESH_POLLS = 2

/** The stream, and the one that takes what is written to it: its origin, if it is a mirror. */
interface Looked {
  readonly info: StreamInfo
  readonly written: StreamConfig
}

/** A stream that others own and write. Its configuration is read, and what the group keeps is in a bucket. */
export class ForeignStream extends Stream implements Target {
  override readonly epoch: string
  override readonly hasMessages = true
  override readonly prunes: boolean
  override readonly bucket: string
  readonly #control: string
  readonly #records: ForeignRecords
  /** The stream that takes what is written. */
  #written: StreamConfig
  readonly #freshMs: number
  #record: ForeignRecord
  #witnessedMs = Number.NEGATIVE_INFINITY

  /** Open the stream. The group's record of it is made if there is none. */
  static async open(link: Link, init: LogInit, options: ForeignStreamOptions): Promise<ForeignStream> {
    const { name, control } = options
    const signal = init.signal && { signal: init.signal }
    const records = new ForeignRecords(link, bucketName(name, control, 'binding'))
    let { info, written } = await lookAt(link, name, signal)
    if (options.addControlSubject && !takes(written, control)) {
      const subjects = [...(written.subjects ?? []), control]
      await link.ask((jsm) => jsm.streams.update(written.name, { subjects }), signal)
      ;({ info, written } = await lookAt(link, name, signal))
    }
    assertUsable(info.config, written, control, link.place)
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await records.read(signal)
      const isSame = found !== undefined && (await isStreamOf(found.record, link, info, signal))
      if (!isSame && !options.create) throw new LogMissing(`${control} in ${link.place}`)
      const record = isSame
        ? { ...found.record, createdNs: createdNs(info) }
        : await newRecord(link, init, options, info)
      if (isSame) record.binding.check(init, { place: link.place, another: ANOTHER })
      const isWritten =
        isSame && found.record.createdNs === record.createdNs
          ? true
          : await records.write(record, found, info.config.num_replicas, signal)
      if (isWritten) return new ForeignStream(link, { info, written }, records, record, options)
    }
    throw new LogUnavailable('the record of the group is written again and again', { place: link.place })
  }

  private constructor(
    link: Link,
    { info, written }: Looked,
    records: ForeignRecords,
    record: ForeignRecord,
    { control, prune = false, pollMs = POLL_MS }: ForeignStreamOptions,
  ) {
    super(link, info, new Numbering(record.base, record.gaps))
    this.#records = records
    this.#record = record
    this.#written = written
    this.#control = control
    this.epoch = record.epoch
    this.prunes = prune
    this.#freshMs = FRESH_POLLS * pollMs
    this.bucket = bucketName(this.name, control, 'notices')
  }

  override get binding(): Binding {
    return this.#record.binding
  }

  override get duplicateWindowMs(): number {
    return this.#written.duplicate_window / 1e6
  }

  /** Messages for a stream that was made anew would get into the new one, so this must not be long ago. */
  override get isFresh(): boolean {
    return this.lookedAgoMs <= this.#freshMs
  }

  override get maxMessageBytes(): number {
    const { max_msg_size } = this.#written
    return Math.min(this.link.maxPayload, max_msg_size > 0 ? max_msg_size : Number.POSITIVE_INFINITY)
  }

  override get writtenName(): string {
    return this.#written.name
  }

  takes(subject: string): boolean {
    return takes(this.#written, subject)
  }

  override codec(author: string): Codec {
    return new ForeignCodec({ epoch: this.epoch, author, control: this.#control, target: this })
  }

  override async noteUpgrade(upgrade: Upgrade, options?: SignalOptions): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      await this.look(options)
      const found = await this.#records.read(options)
      if (found === undefined) continue
      const { binding } = found.record
      if (!binding.isNews(upgrade)) return
      const record = { ...found.record, binding: binding.noted(upgrade) }
      if (await this.#write(record, found, options)) return
    }
    throw new LogUnavailable('the record of the group is written again and again', { place: this.place })
  }

  protected override async verify(info: StreamInfo, options?: SignalOptions): Promise<void> {
    const { place, epoch } = this
    // What is written to a mirror is up to its origin, which its own configuration does not tell.
    if (info.config.mirror !== undefined || JSON.stringify(info.config) !== JSON.stringify(this.config)) {
      const written = await writtenBy(this.link, info.config, { ...options, known: this.#written })
      assertUsable(info.config, written, this.#control, place)
      this.#written = written
    }
    const found = await this.#records.read(options)
    if (found !== undefined && found.record.epoch !== epoch) {
      throw new EpochChanged(epoch, found.record.epoch, { place })
    }
    const known = found?.record ?? this.#record
    if (!(await isStreamOf(known, this.link, info, options))) {
      throw new EpochChanged(epoch, `that of a stream made at ${info.created}`, { place })
    }
    const record = { ...known, createdNs: createdNs(info), witness: this.#witnessOf(known, info) }
    const isNews = record.createdNs !== known.createdNs || record.witness !== known.witness
    // The bucket was removed: who follows the log knows what was in it.
    if (found === undefined || isNews) await this.#keep(record, found, options)
    else this.#record = record
  }

  /** The message by which the stream is recognised: another one once it is gone. */
  #witnessOf({ witness }: ForeignRecord, info: StreamInfo): Witness | undefined {
    const nowMs = this.link.clock.now()
    const isThere = witness !== undefined && witness.sequence >= info.state.first_seq
    if (isThere || nowMs - this.#witnessedMs < WITNESS_MS) return witness
    this.#witnessedMs = nowMs
    return newestOf(info) ?? witness
  }

  /** Write a record if this program may and no other one does. The log goes on without. */
  async #keep(record: ForeignRecord, found: Found | undefined, options?: SignalOptions): Promise<void> {
    try {
      await this.#write(record, found, options)
    } catch (error) {
      if (!(error instanceof LogRefused)) throw error
    }
  }

  async #write(record: ForeignRecord, found: Found | undefined, options?: SignalOptions): Promise<boolean> {
    const isWritten = await this.#records.write(record, found, this.replicas, options)
    if (isWritten) this.#record = record
    return isWritten
  }
}

async function lookAt(link: Link, name: string, options?: SignalOptions): Promise<Looked> {
  const info = await link.ask(async (jsm) => {
    try {
      const found = await streamInfo(jsm, name)
      return await settled(jsm, found, { identityOf: createdNs, clock: link.clock, ...options })
    } catch (error) {
      if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
      throw new LogMissing(link.place, 'look at its name, or make the stream first: it is that of others')
    }
  }, options)
  return { info, written: await writtenBy(link, info.config, options) }
}

/**
 * The configuration of the stream that takes what is written: the origin of a mirror.
 *
 * @param options.known what it was. That is returned if the origin is gone: a cluster that has just started may not
 *   know all its streams yet, and the mirror can be read without.
 */
async function writtenBy(
  link: Link,
  config: StreamConfig,
  { known, ...options }: SignalOptions & { readonly known?: StreamConfig } = {},
): Promise<StreamConfig> {
  const { mirror } = config
  if (mirror === undefined || mirror.external !== undefined) return config
  return await link.ask(async (jsm: JetStreamManager) => {
    try {
      return (await streamInfo(jsm, mirror.name)).config
    } catch (error) {
      if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
      if (known?.name === mirror.name) return known
      throw new LogUnusable(
        `the stream mirrors ${mirror.name}, which is gone: entries would have to be written there; restore it, or follow a stream that has subjects`,
        { place: link.place },
      )
    }
  }, options)
}

function assertUsable(config: StreamConfig, written: StreamConfig, control: string, place: string): void {
  const faults = faultsOf(config)
  if (written !== config && written.name !== config.name) {
    for (const fault of faultsOf(written))
      faults.push(`of the stream that it mirrors, ${written.name}: ${fault}`)
  }
  if (!takes(written, control)) {
    faults.push(
      `${written.name} takes no message on ${control}, the subject of the group's own entries: add it to the stream's subjects, or give addControlSubject: true`,
    )
  }
  if (faults.length === 0) return
  throw new LogUnusable(`the stream cannot be the log of a group: ${faults.join('; ')}`, { place })
}

async function newRecord(
  link: Link,
  init: LogInit,
  { control, from = 'all' }: ForeignStreamOptions,
  info: StreamInfo,
): Promise<ForeignRecord> {
  const start = await startOf(link, info, from, init.signal && { signal: init.signal })
  const created = createdNs(info)
  return {
    ...start,
    epoch: epochOf(control, created, start),
    // A record is made with a signature only.
    binding: new Binding(init.group, init.signature ?? ''),
    createdNs: created,
    witness: newestOf(info),
  }
}

/** Whether the stream is the one that the record is of, or a copy that has its messages. */
async function isStreamOf(
  { createdNs: known, witness }: ForeignRecord,
  link: Link,
  info: StreamInfo,
  options?: SignalOptions,
): Promise<boolean> {
  if (createdNs(info) === known) return true
  if (witness === undefined)
    return info.config.num_replicas > 1 && apartNs(createdNs(info), known) < MADE_APART_NS
  const { sequence: seq, timeNs } = witness
  try {
    const found = await link.ask((jsm) => jsm.streams.getMessage(info.config.name, { seq }), options)
    return found !== null && nanosOf(found.timestamp) === timeNs
  } catch (error) {
    if (GONE.includes(codeOf(error))) return false
    throw error
  }
}

function newestOf({ state }: StreamInfo): Witness | undefined {
  const { messages, last_seq, last_ts } = state
  return messages === 0 ? undefined : { sequence: last_seq, timeNs: nanosOf(String(last_ts)) }
}

function createdNs({ created }: StreamInfo): string {
  return nanosOf(String(created))
}

function apartNs(one: string, other: string): number {
  return Math.abs(Number(BigInt(one) - BigInt(other)))
}
