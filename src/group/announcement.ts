import { randomBytes } from 'node:crypto'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { OLDER_MAX, TIMER_MS_MAX } from '../bounds.ts'
import { amount } from './amount.ts'
import { type CatchUpProgress, catchUpMessage, catchUpOf } from './catch-up-progress.ts'
import { GROUP_FORMAT } from './formats.ts'
import { AnnouncementSchema } from './pb/group_pb.js'
import { signatureName } from './versions.ts'

/** What a replica is doing. */
export type ReplicaState =
  /** Opening the log and the network. */
  | 'starting'
  /** Applying the log, not yet at its end. */
  | 'following'
  /** Fetching a snapshot from its peers. */
  | 'catching-up'
  /** At the end of the log, and applying what is appended. */
  | 'in-sync'
  /** It needs a snapshot and no peer can serve one. */
  | 'lost'
  /** It stopped applying and waits for the operator. It still serves its offers. */
  | 'halted'
  /** `stop()` was called: it applies nothing any more, and leaves the group. */
  | 'stopped'

export const REPLICA_STATES: readonly ReplicaState[] = [
  'starting',
  'following',
  'catching-up',
  'in-sync',
  'lost',
  'halted',
  'stopped',
]

/** A snapshot that a member serves, as it announces it. */
export interface AnnouncedOffer {
  /** The index of its anchor. */
  readonly anchor: number
  /** The time until the offer ends unless somebody fetches, in milliseconds, when it was announced. */
  readonly remainingMs: number
  /** Whether it is cut, so that chunks can be fetched at once. */
  readonly ready: boolean
  /** Chunk bytes of it that this replica has sent since it began to offer it. Default 0. */
  readonly servedBytes?: number
}

/** Characters of a process's random name: 64 bits in hexadecimal. */
const PROCESS_NAME_LENGTH = 16

export function makeProcessName(): string {
  return randomBytes(PROCESS_NAME_LENGTH / 2).toString('hex')
}

/** A replica's own prune policy. The leader combines those of all members and prunes by the result. */
export interface PruneWish {
  /** How many of the newest entries stay. */
  readonly keepEntries: number
  /** Entries may be pruned that no checkpoint on any member's disk covers. */
  readonly volatile: boolean
}

/** What a replica tells the group about itself, in the presence store. */
export interface Announcement {
  /** The incarnation of the log that it follows. */
  readonly epoch: string
  /** The multiaddrs that it listens on. */
  readonly addresses: readonly string[]
  /** What it is doing. */
  readonly state: ReplicaState
  /** The index of the newest entry that it applied. */
  readonly applied: number
  /** The term that it leads; 0 when it does not lead. */
  readonly leads: number
  /** The snapshots that it serves, at most 64. */
  readonly offers: readonly AnnouncedOffer[]
  /** The anchor it is catching up from; 0 when there is none. */
  readonly needs: number
  /** Bytes that it has received, and built into its new state, since it began to catch up. Default 0. */
  readonly receivedBytes?: number
  /** The index of the newest checkpoint on its disk whose root the group agreed on; 0 when there is none. */
  readonly checkpoint: number
  /** It has a data directory for checkpoints, even if it has not written the first one yet. Default false. */
  readonly durable?: boolean
  /** Absent when it has no policy. */
  readonly prune?: PruneWish
  /**
   * The name of the process that wrote this, which tells apart two processes with one identity. Default:
   * none.
   */
  readonly process?: string
  /** Another process used this identity a short while ago. Default false. */
  readonly contested?: boolean
  /** The newest format of the group's state that it speaks. Default 1. */
  readonly format?: number
  /** The names of the signatures that it speaks. Default: only the one that the log is bound to. */
  readonly speaks?: readonly Uint8Array[]
  /** The version of Anchorage, such as "0.3.0". Default: one that did not tell yet. */
  readonly version?: string
  /** The signature of the machine's version that it speaks now. Of one that is longer, the first 199 characters. */
  readonly signature?: string
  /** Absent while it is not catching up. */
  readonly catchUp?: CatchUpProgress
  /** Names of the network keys that it accepts, the one first that it prefers. Default: it has none. */
  readonly networkKeys?: readonly string[]
}

/** The longest version and the longest signature that are told, in UTF-16 code units. Longer ones are cut. */
const VERSION_LENGTH_MAX = 64
const SIGNATURE_LENGTH_MAX = 200

export function encodeAnnouncement(announcement: Announcement): Uint8Array {
  const {
    applied,
    leads,
    offers,
    needs,
    receivedBytes = 0,
    checkpoint,
    addresses,
    prune,
    speaks = [],
    version = '',
    signature = '',
    catchUp,
    networkKeys = [],
    ...rest
  } = announcement
  const message = create(AnnouncementSchema, {
    ...rest,
    version: cut(version, VERSION_LENGTH_MAX),
    signature: cut(signature, SIGNATURE_LENGTH_MAX),
    ...(catchUp && { catchUp: catchUpMessage(catchUp) }),
    networkKeys: [...networkKeys],
    speaks: [...speaks],
    addresses: [...addresses],
    applied: BigInt(applied),
    leads: BigInt(leads),
    needs: BigInt(needs),
    receivedBytes: BigInt(receivedBytes),
    checkpoint: BigInt(checkpoint),
    ...(prune && { prune: { keepEntries: BigInt(prune.keepEntries), volatile: prune.volatile } }),
    offers: offers.map(({ anchor, remainingMs, ready, servedBytes = 0 }) => ({
      anchor: BigInt(anchor),
      remainingMs: Math.ceil(remainingMs),
      ready,
      servedBytes: BigInt(servedBytes),
    })),
  })
  return toBinary(AnnouncementSchema, message)
}

/**
 * An announcement that fits into so many bytes. Where a presence store takes small ones alone, what only people look at
 * is left out: first how far a catch-up is, then the versions and network keys.
 */
export function encodeWithin(announcement: Announcement, bytesMax: number): Uint8Array {
  const whole = encodeAnnouncement(announcement)
  if (whole.length <= bytesMax) return whole
  const { catchUp: _catchUp, ...still } = announcement
  const smaller = encodeAnnouncement(still)
  if (smaller.length <= bytesMax) return smaller
  const { version: _version, signature: _signature, networkKeys: _networkKeys, ...least } = still
  return encodeAnnouncement(least)
}

/**
 * The largest size, in bytes, of what others rely on in an announcement with this epoch, these addresses and this number of offers.
 */
export function announcementBytesMax(of: {
  readonly epoch: string
  readonly addresses: readonly string[]
  readonly offers: number
}): number {
  const most = Number.MAX_SAFE_INTEGER
  const offer: Required<AnnouncedOffer> = {
    anchor: most,
    remainingMs: TIMER_MS_MAX,
    ready: true,
    servedBytes: most,
  }
  const largest: Required<Omit<Announcement, 'version' | 'signature' | 'catchUp' | 'networkKeys'>> = {
    epoch: of.epoch,
    addresses: of.addresses,
    state: 'catching-up',
    applied: most,
    leads: most,
    offers: new Array(of.offers).fill(offer),
    needs: most,
    receivedBytes: most,
    checkpoint: most,
    durable: true,
    prune: { keepEntries: most, volatile: true },
    process: 'x'.repeat(PROCESS_NAME_LENGTH),
    contested: true,
    format: GROUP_FORMAT,
    speaks: new Array(OLDER_MAX + 1).fill(signatureName('')),
  }
  return encodeAnnouncement(largest).length
}

/**
 * The most offers of one member that are read, the newest ones. A replica has few offers, and each one costs
 * every member work with every announcement.
 */
const OFFERS_MAX = 64

function cut(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1).toWellFormed()}…`
}

/** Returns undefined for bytes that are no announcement of this version. */
export function decodeAnnouncement(bytes: Uint8Array): Announcement | undefined {
  try {
    const message = fromBinary(AnnouncementSchema, bytes)
    const { epoch, addresses, state, applied, leads, offers, needs, receivedBytes } = message
    const { checkpoint, durable, prune, process, contested, format, speaks } = message
    const { version, signature } = message
    const networkKeys = message.networkKeys.filter((name) => /^[0-9a-f]{8}$/.test(name)).slice(0, 2)
    const catchUp = message.catchUp && catchUpOf(message.catchUp)
    if (!(REPLICA_STATES as readonly string[]).includes(state)) return undefined
    return {
      epoch,
      addresses,
      state: state as ReplicaState,
      applied: amount(applied),
      leads: amount(leads),
      needs: amount(needs),
      ...(receivedBytes > 0n && { receivedBytes: amount(receivedBytes) }),
      checkpoint: amount(checkpoint),
      ...(durable && { durable }),
      ...(process !== '' && { process }),
      ...(contested && { contested }),
      ...(format > 0 && { format }),
      ...(speaks.length > 0 && { speaks: speaks.slice(0, OLDER_MAX + 1) }),
      ...(version !== '' && { version: cut(version, VERSION_LENGTH_MAX) }),
      ...(signature !== '' && { signature: cut(signature, SIGNATURE_LENGTH_MAX) }),
      ...(catchUp && { catchUp }),
      ...(networkKeys.length > 0 && { networkKeys }),
      ...(prune && { prune: { keepEntries: amount(prune.keepEntries), volatile: prune.volatile } }),
      offers: offers.slice(-OFFERS_MAX).map(({ anchor, remainingMs, ready, servedBytes }) => ({
        anchor: amount(anchor),
        remainingMs: Math.min(remainingMs, TIMER_MS_MAX),
        ready,
        ...(servedBytes > 0n && { servedBytes: amount(servedBytes) }),
      })),
    }
  } catch {
    return undefined
  }
}
