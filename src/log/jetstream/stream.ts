import {
  JetStreamApiCodes,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
  type StreamInfoRequestOptions,
} from '@nats-io/jetstream'
import { type Clock, sleep } from '../../time/clock.ts'
import type { Binding, Upgrade } from '../binding.ts'
import { EpochChanged, LogUnavailable } from '../errors.ts'
import type { LogTail, SignalOptions } from '../log.ts'
import type { Codec } from './codec.ts'
import { codeOf, type Link } from './link.ts'
import type { Numbering } from './numbering.ts'

/** How far the stream reached at one look. */
export interface StreamTail {
  /** The oldest entry that can be read; `newest.index + 1` if none can. */
  readonly first: number
  readonly newest: LogTail
  /** Messages were deleted between the first and the last. */
  readonly hasGaps: boolean
}

/** How long the servers of a cluster may report that the stream is missing before it counts as gone. */
const GONE_CONFIRM_MS = 5_000
/** A new stream is settled once the cluster has described the same one this many times more. */
const SETTLED_LOOKS = 2
/** A new stream that is not settled after this many looks, 10 seconds, is given up. */
const SETTLED_LOOKS_MAX = 50
/** Time between two looks at a new stream, in milliseconds. */
const SETTLING_MS = 200
/** Go's zero time: when a stream was made that is not made yet. */
const NOT_YET = '0001-01-01T00:00:00Z'

/** The stream that holds a group's entries. */
export abstract class Stream {
  readonly name: string
  /** Which entry a message is. */
  readonly numbering: Numbering
  protected readonly link: Link
  #config: StreamConfig
  #tail: StreamTail
  #leader: string | undefined
  #lookedMs: number
  #toldAtMs: number | undefined

  protected constructor(link: Link, info: StreamInfo, numbering: Numbering) {
    this.link = link
    this.name = info.config.name
    this.numbering = numbering
    this.#config = info.config
    this.#tail = this.#tailOf(info)
    this.#leader = info.cluster?.leader
    this.#lookedMs = link.clock.now()
    this.#toldAtMs = toldAtMs(info)
  }

  /** The stream's identity. A stream that is made again has another. */
  abstract readonly epoch: string
  /** Whose log it is, as of the last look. */
  abstract readonly binding: Binding
  /** The key-value bucket of the group's presences. */
  abstract readonly bucket: string
  /** Whether commands are messages that others read and write too. */
  abstract readonly hasMessages: boolean
  /** Whether the group may purge it. */
  abstract readonly prunes: boolean
  /** The name of the stream that takes what is written: its own, unless it is a mirror. */
  abstract readonly writtenName: string
  /** Two messages with the same id within this time are one entry, in milliseconds. */
  abstract readonly duplicateWindowMs: number
  /**
   * Whether to publish without another look. Messages for a stream that was made anew since the last look must not
   * get into the new one.
   */
  abstract readonly isFresh: boolean
  /** The largest message that it takes, in bytes. */
  abstract readonly maxMessageBytes: number

  /** For the entries of one handle. */
  abstract codec(author: string): Codec
  abstract noteUpgrade(upgrade: Upgrade, options?: SignalOptions): Promise<void>
  /** Throws if this is not the log that was opened any more, or cannot be used any more. */
  protected abstract verify(info: StreamInfo, options?: SignalOptions): Promise<void>

  /** The stream's name and its servers, for messages. */
  get place(): string {
    return this.link.place
  }

  /** Its configuration at the last look. */
  get config(): StreamConfig {
    return this.#config
  }

  /** How many servers keep the stream. An operator may change that, and the window, at any time. */
  get replicas(): number {
    return this.#config.num_replicas
  }

  /** The leader at the last look, if several servers keep the stream. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** How long ago the last look was, in milliseconds. */
  protected get lookedAgoMs(): number {
    return this.link.clock.now() - this.#lookedMs
  }

  /** The servers' wall clock at the last look, in milliseconds since 1970; undefined if they do not tell. */
  get toldAtMs(): number | undefined {
    return this.#toldAtMs
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
    const nowMs = this.link.clock.now()
    const info = await this.#info(options)
    try {
      await this.verify(info, options)
    } catch (error) {
      this.#lookedMs = Number.NEGATIVE_INFINITY
      throw error
    }
    this.#config = info.config
    this.#tail = this.#tailOf(info)
    this.#leader = info.cluster?.leader
    this.#lookedMs = nowMs
    this.#toldAtMs = toldAtMs(info)
    return this.#tail
  }

  /** Remove the entries up to and including `upTo`. */
  async purge(upTo: number, options?: SignalOptions): Promise<void> {
    const seq = this.numbering.sequenceOf(upTo + 1)
    await this.link.ask((jsm) => jsm.streams.purge(this.name, { seq }), options)
  }

  async #info(options?: SignalOptions): Promise<StreamInfo> {
    const { clock } = this.link
    const beganMs = clock.now()
    return await this.link.ask(async (jsm) => {
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
  }

  #tailOf({ state }: StreamInfo): StreamTail {
    const { messages, first_seq, last_seq, last_ts, num_deleted } = state
    const { numbering } = this
    const last = Math.max(0, numbering.indexOf(last_seq))
    const first = messages === 0 ? last + 1 : Math.max(1, numbering.indexOf(first_seq))
    return {
      first: Math.min(numbering.gapUpTo(first - 1)?.from ?? first, last + 1),
      newest: { index: last, timestampMs: last === 0 ? 0 : Date.parse(String(last_ts)) },
      hasGaps: messages > 0 && (num_deleted ?? 0) > 0,
    }
  }
}

/** When the servers answered, by their clock. Those before 2.10 do not say. */
function toldAtMs({ ts }: Partial<StreamInfo>): number | undefined {
  return ts === undefined ? undefined : Date.parse(String(ts))
}

/**
 * The leader's view of a stream. Without a leader it throws: a server of a cluster that lost its majority
 * goes on answering for minutes, with what it last knew. So it does for a stream that is being made: 2.9.10
 * tells of one that has no store yet, and ends with a panic when it is asked for one of its messages.
 */
export async function streamInfo(
  jsm: JetStreamManager,
  name: string,
  options?: Partial<StreamInfoRequestOptions>,
): Promise<StreamInfo> {
  const info = await jsm.streams.info(name, options)
  if (info.cluster !== undefined && !info.cluster.leader) throw new LogUnavailable('the stream has no leader')
  if (info.created === NOT_YET) throw new LogUnavailable('the stream is being made')
  return info
}

export interface Settling {
  /** What tells a stream from another one of the same name. */
  readonly identityOf: (info: StreamInfo) => string
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

/**
 * Wait until the cluster agrees on a new stream. Several processes may make it at once, and for a moment the
 * servers may each describe another one.
 */
export async function settled(
  jsm: JetStreamManager,
  found: StreamInfo,
  { identityOf, clock, signal }: Settling,
): Promise<StreamInfo> {
  let info = found
  if (info.cluster === undefined) return info
  for (let looks = 0, same = 0; same < SETTLED_LOOKS && info.state.last_seq === 0; looks++) {
    if (looks >= SETTLED_LOOKS_MAX) throw new LogUnavailable('its servers do not agree on the stream')
    await sleep(clock, SETTLING_MS, signal)
    const again = await streamInfo(jsm, info.config.name)
    same = identityOf(again) === identityOf(info) ? same + 1 : 0
    info = again
  }
  return info
}
