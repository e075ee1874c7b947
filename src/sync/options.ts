import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CLOCK_METHODS,
  checkBytes,
  checkFunction,
  checkInteger,
  checkMethods,
  checkMs,
  checkText,
  EPOCH_BYTES_MAX,
  GROUP_BYTES_MAX,
  SIGNATURE_BYTES_MAX,
} from '../bounds.ts'
import type { ChunkStore } from '../snapshot/chunk-store.ts'
import type { CutHistory } from '../snapshot/cut-history.ts'
import type { ChunkCoder } from '../snapshot/encoding.ts'
import { checkControl } from '../snapshot/manifest.ts'
import type { Clock } from '../time/clock.ts'
import type { SyncEvent } from './events.ts'
import type { SyncHost } from './host.ts'
import { type ProviderLimits, providerLimits, syncTimes } from './limits.ts'

/** What snapshot sync is given. All but the host has a default. */
export interface SnapshotSyncInit {
  /** The consensus that orders the entries: see `SyncHost`. */
  readonly host: SyncHost
  /** How long an offer lives when nobody fetches, in milliseconds from 250 to 2^31 - 1. Default 10,000. */
  readonly ttlMs?: number
  /**
   * How long a session waits for an anchor to be named, offered or sealed, in milliseconds from 500 to 2^31 -
   * 1. Default 15,000.
   */
  readonly requestTimeoutMs?: number
  /**
   * How long a peer may be silent while an answer is due, in milliseconds from 250 to 2^31 - 1. Default
   * 5,000.
   */
  readonly fetchTimeoutMs?: number
  /** How chunks are encoded for the way, and decoded. Default: zstd. */
  readonly coder?: ChunkCoder
  /** Where a session keeps verified chunks, for one that has to begin again. Default: nowhere. */
  readonly store?: ChunkStore
  /**
   * What this replica cut last, to share with others that cut its state. Default: what snapshot sync itself
   * cut last.
   */
  readonly cuts?: CutHistory
  /** What this provider does for others at most. Default for each that is not given: as `ProviderLimits` says. */
  readonly limits?: Partial<ProviderLimits>
  /**
   * Asked about members too: false keeps a peer out, and so does an error. Default: every member may fetch.
   */
  readonly authorize?: (peer: string) => boolean | Promise<boolean>
  /** Default: the machine's monotonic clock. */
  readonly clock?: Clock
  /** A number from 0 up to 1: spreads out those that were told `Busy` together. Default `Math.random`. */
  readonly random?: () => number
  /** Hears of everything that happens here. An error it throws becomes a process warning. Default: nobody. */
  readonly onEvent?: (event: SyncEvent) => void
}

/** A capture at a marker. */
export interface CapturedInit {
  /**
   * What the host keeps beside the machine's items, up to 1 MiB; the same on every replica at this anchor.
   */
  readonly control: Uint8Array
  /**
   * The size that chunks have on average, in bytes from 1 to 8 MiB. As the marker says: every replica must
   * cut alike.
   */
  readonly chunkBytes: number
  /** The PeerIds that asked for the snapshot: they are pushed the offer. */
  readonly requesters: readonly string[]
  /**
   * How long the cut is put off unless a peer asks for the snapshot before, in milliseconds from 0 to 2^31 -
   * 1. Default 0.
   */
  readonly cutDelayMs?: number
}

/** The methods that a host has, without those that have a default. */
const HOST_METHODS = [
  'leader',
  'members',
  'refreshMembers',
  'appendMarker',
  'isReadable',
  'sealedRoot',
  'pin',
  'beginInstall',
] as const satisfies readonly (keyof SyncHost)[]
const HOST_METHODS_OPTIONAL = [
  'onMembersChanged',
  'mayBeSealed',
  'hasStalled',
  'ownState',
] as const satisfies readonly (keyof SyncHost)[]

/** Throws `RangeError` for an option with which nothing could be served or fetched. */
export function checkSyncInit(init: SnapshotSyncInit): void {
  const { host, limits, coder, store, clock, authorize, random, onEvent } = init
  checkMethods('host', host, HOST_METHODS)
  for (const name of HOST_METHODS_OPTIONAL) {
    if (host[name] !== undefined) checkFunction(`host.${name}`, host[name])
  }
  // Every request carries these: one that no request can carry would else be found by the first joiner.
  checkText('host.group', host.group, GROUP_BYTES_MAX)
  checkText('host.signature', host.signature, SIGNATURE_BYTES_MAX)
  checkText('host.epoch', host.epoch, EPOCH_BYTES_MAX)
  syncTimes(init)
  providerLimits(limits)
  if (coder !== undefined) checkMethods('coder', coder, ['encode', 'decode'])
  if (store !== undefined) checkMethods('store', store, ['has', 'read', 'keep', 'forget'])
  if (clock !== undefined) checkMethods('clock', clock, CLOCK_METHODS)
  for (const [name, callback] of Object.entries({ authorize, random, onEvent })) {
    if (callback !== undefined) checkFunction(name, callback)
  }
}

/**
 * Throws `SnapshotTooLarge` for too many control bytes, and `RangeError` for what no replica could cut or
 * tell.
 */
export function checkCaptured({ control, chunkBytes, cutDelayMs }: CapturedInit): void {
  checkBytes('control', control)
  checkControl(control)
  checkInteger('chunkBytes', chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
  if (cutDelayMs !== undefined) checkMs('cutDelayMs', cutDelayMs, 0)
}
