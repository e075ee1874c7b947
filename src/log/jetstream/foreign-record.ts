import { createHash } from 'node:crypto'
import { JetStreamApiCodes } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import { Binding, type Upgrade } from '../binding.ts'
import { LogUnusable } from '../errors.ts'
import type { SignalOptions } from '../log.ts'
import { openBucket } from './bucket.ts'
import { codeOf, type Link } from './link.ts'
import type { Range } from './numbering.ts'

/** A message by which a stream is recognised: no two are stored in the same nanosecond under the same number. */
export interface Witness {
  readonly sequence: number
  readonly timeNs: string
}

/** Where a group's log begins in a stream, and which of its messages were deleted before. */
export interface Start {
  /** The sequence number before that of entry 1. */
  readonly base: number
  readonly gaps: readonly Range[]
}

/** What a group keeps of a stream of others. The stream itself keeps nothing of it. */
export interface ForeignRecord extends Start {
  readonly epoch: string
  readonly binding: Binding
  /** When the stream was made, in nanoseconds since 1970. */
  readonly createdNs: string
  /** The newest message when this was written. Undefined while there was none. */
  readonly witness: Witness | undefined
}

/** A record, and the revision of it in its bucket. */
export interface Found {
  readonly record: ForeignRecord
  readonly revision: number
}

const KEY = 'binding'
/** The length of an epoch: 132 bits of a hash. */
const EPOCH_LENGTH = 22
/** JetStream's codes for a key that somebody else wrote meanwhile. */
const CONFLICTS: readonly (number | undefined)[] = [
  JetStreamApiCodes.StreamWrongLastSequence,
  JetStreamApiCodes.StreamWrongLastSequenceUnknown,
]

/**
 * The epoch of a log: it names the stream's life and which entry each message is. Whoever loses the record and makes
 * it again in the same way has the same log, and any other way has another epoch.
 */
export function epochOf(control: string, createdNs: string, { base, gaps }: Start): string {
  const identity = JSON.stringify([control, createdNs, base, gaps.map(({ from, to }) => [from, to])])
  return createHash('sha256').update(identity).digest('base64url').slice(0, EPOCH_LENGTH)
}

/** The record of a group in a key-value bucket. Whoever writes it says which revision it replaces. */
export class ForeignRecords {
  readonly #link: Link
  readonly #bucket: string
  #kv: KV | undefined

  constructor(link: Link, bucket: string) {
    this.#link = link
    this.#bucket = bucket
  }

  /** Undefined if there is none. Rejects with `LogUnusable` if it is none of this version. */
  async read(options?: SignalOptions): Promise<Found | undefined> {
    try {
      const kv = this.#kv ?? (await this.#open(undefined, options))
      const entry = await this.#link.ask(() => kv.get(KEY), options)
      if (entry === null || entry.operation !== 'PUT') return undefined
      return { record: this.#parse(entry.string()), revision: entry.revision }
    } catch (error) {
      if (codeOf(error) !== JetStreamApiCodes.StreamNotFound) throw error
      this.#kv = undefined
      return undefined
    }
  }

  /**
   * Write a record in the place of `replaced`, or where there is none. Returns false if there is another one by now.
   *
   * @param replicas how many servers keep the bucket, if it has to be made
   */
  async write(
    record: ForeignRecord,
    replaced: Found | undefined,
    replicas: number,
    options?: SignalOptions,
  ): Promise<boolean> {
    // A bucket that is gone would not answer, so it is looked for each time.
    const kv = await this.#open(replicas, options)
    const text = textOf(record)
    try {
      await this.#link.ask(
        () => (replaced === undefined ? kv.create(KEY, text) : kv.update(KEY, text, replaced.revision)),
        options,
      )
      return true
    } catch (error) {
      if (CONFLICTS.includes(codeOf(error))) return false
      throw error
    }
  }

  /** @param replicas of a bucket that is made if there is none; undefined to make none */
  async #open(replicas: number | undefined, options?: SignalOptions): Promise<KV> {
    // A server that is not the leader may not know the newest record yet, so it is not asked.
    const direct = { allow_direct: false }
    this.#kv = await openBucket(
      this.#link,
      this.#bucket,
      (kvm) =>
        replicas === undefined
          ? kvm.open(this.#bucket, direct)
          : kvm.create(this.#bucket, { ...direct, replicas, history: 1 }),
      options,
    )
    return this.#kv
  }

  #parse(text: string): ForeignRecord {
    const record = recordIn(text)
    if (record !== undefined) return record
    throw new LogUnusable(
      `the key ${KEY} of the bucket ${this.#bucket} is no record of this version of anchorage; install the one that wrote it`,
      { place: this.#link.place },
    )
  }
}

function textOf({ epoch, binding, base, gaps, createdNs, witness }: ForeignRecord): string {
  const { group, kept, upgrades } = binding
  return JSON.stringify({
    anchorage: 1,
    group,
    signature: kept,
    upgraded: upgrades.at(-1),
    epoch,
    base,
    gaps: gaps.map(({ from, to }) => [from, to]),
    createdNs,
    witness,
  })
}

interface RecordJson {
  readonly anchorage: number
  readonly group: string
  readonly signature: string
  readonly upgraded?: Upgrade
  readonly epoch: string
  readonly base: number
  readonly gaps: readonly (readonly [number, number])[]
  readonly createdNs: string
  readonly witness?: Witness
}

function recordIn(text: string): ForeignRecord | undefined {
  try {
    const json = JSON.parse(text) as RecordJson
    const { anchorage, group, signature, upgraded, epoch, base, gaps, createdNs, witness } = json
    if (anchorage !== 1) return undefined
    const ranges = gaps.map(([from, to]) => ({ from, to }))
    const isWhole = [group, signature, epoch, createdNs].every((each) => typeof each === 'string')
    if (!isWhole || !Number.isSafeInteger(base)) return undefined
    const binding = new Binding(group, signature, upgraded === undefined ? [] : [upgraded])
    return { epoch, binding, base, gaps: ranges, createdNs, witness }
  } catch {
    return undefined
  }
}
