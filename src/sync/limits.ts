import { checkInteger, checkMs, FETCH_TIMEOUT_MS_MIN, REQUEST_TIMEOUT_MS_MIN, TTL_MS_MIN } from '../bounds.ts'
import { CONTROL_BYTES_MAX } from '../snapshot/manifest.ts'

export { CONTROL_BYTES_MAX, MANIFEST_CHUNKS_MAX } from '../snapshot/manifest.ts'

/** The protocol's version is part of its id: `/<prefix>/sync/1.0.0`. */
export const PROTOCOL_NAME = 'sync'
export const PROTOCOL_VERSION = '1.0.0'
export const PROTOCOL_PREFIX_DEFAULT = 'anchorage'
/** libp2p reads no protocol's name of more than 1 KiB. */
export const PROTOCOL_PREFIX_BYTES_MAX = 255

/** How long an offer lives when nobody fetches. */
export const TTL_MS_DEFAULT = 10_000
/** How long a session waits for an anchor to be named, for offers of it, or for its seal. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 15_000
/** How long a peer may send nothing while answers are due. */
export const FETCH_TIMEOUT_MS_DEFAULT = 5_000
/** What a group's members wait for each other, in milliseconds. */
export interface SyncTimes {
  readonly ttlMs: number
  readonly requestTimeoutMs: number
  readonly fetchTimeoutMs: number
}

/**
 * The times with defaults where nothing else is said. Throws `RangeError` for one in which nothing could be
 * done.
 */
export function syncTimes(times: Partial<SyncTimes>): SyncTimes {
  const {
    ttlMs = TTL_MS_DEFAULT,
    requestTimeoutMs = REQUEST_TIMEOUT_MS_DEFAULT,
    fetchTimeoutMs = FETCH_TIMEOUT_MS_DEFAULT,
  } = times
  checkMs('ttlMs', ttlMs, TTL_MS_MIN)
  checkMs('requestTimeoutMs', requestTimeoutMs, REQUEST_TIMEOUT_MS_MIN)
  checkMs('fetchTimeoutMs', fetchTimeoutMs, FETCH_TIMEOUT_MS_MIN)
  return { ttlMs, requestTimeoutMs, fetchTimeoutMs }
}

/**
 * How long a provider lets a request wait for the cut, or a chunk for room among those that are being sent,
 * before it says Busy; with a short fetch timeout half of that.
 */
export const ANSWER_WAIT_MS = 2_000
/**
 * How long the leader appends no marker after one that came to nothing: each costs every replica a capture.
 */
export const VAIN_PAUSE_MS = 1_000
/**
 * That time doubles with each further one, up to this: what has been mended meanwhile is noticed that much
 * later.
 */
export const VAIN_PAUSE_MS_MAX = 30_000
/**
 * Live anchors of a group from which on a new marker retires those that nobody uses. Each holds a copy of the
 * state, and the log after it.
 */
export const LIVE_ANCHORS_USUAL = 2
/**
 * Anchors in use at which the leader says Busy instead of appending another marker. One slow joiner must not
 * hold up others.
 */
export const LIVE_ANCHORS_MAX = 3

/** A request is a few identifiers: nothing longer is read. */
export const REQUEST_BYTES_MAX = 64 * 1024
/**
 * The largest answer is a chunk: one byte less than twice the largest average of 8 MiB, and then an item of
 * 32 MiB. Bounds what a provider can make a session hold for one frame.
 */
export const RESPONSE_BYTES_MAX = 49 * 1024 * 1024
/** Chunks that one answer lists; the next answer goes on with those after them. */
export const MANIFEST_PAGE_CHUNKS = 4_096
/**
 * The header of an answer: the longest is a full page of a manifest, less than 200 KiB, with all of the
 * control bytes. Nothing longer is decoded.
 */
export const RESPONSE_HEADER_BYTES_MAX = CONTROL_BYTES_MAX + 256 * 1024
/** A peer that has not fetched for so long has left its place to others. */
export const SESSION_IDLE_MS = 5_000
/** Offers in one answer, the newest. */
export const OFFERS_MAX = 64
/** Chunks that one request may ask for. */
export const REQUEST_CHUNKS_MAX = 256

/** What a provider does for others at most. What is beyond is answered with `Busy`, and changes nothing. */
export interface ProviderLimits {
  /** Streams that one peer may have open, over all its connections, from 2. Default 32. */
  readonly streamsPerPeer: number
  /**
   * Requests of one peer that are being answered at once: each of its streams has one at most. Default 16.
   */
  readonly requestsPerPeer: number
  /** Peers that fetch chunks at the same time. Default 128. */
  readonly sessions: number
  /**
   * Chunk bytes that are being sent at the same time, to all peers together; to one of them, a quarter.
   * Default 16 MiB.
   */
  readonly sendingBytes: number
  /** Markers that the leader appends for one peer within a minute. Default 30. */
  readonly markersPerMinute: number
}

/** The limits of a provider that is given none. */
export const PROVIDER_LIMITS_DEFAULT: ProviderLimits = {
  streamsPerPeer: 32,
  requestsPerPeer: 16,
  sessions: 128,
  sendingBytes: 16 * 1024 * 1024,
  markersPerMinute: 30,
}

/** Below them nobody could be served: a session opens one stream for questions, and one for chunks. */
const PROVIDER_LIMITS_MIN: ProviderLimits = {
  streamsPerPeer: 2,
  requestsPerPeer: 1,
  sessions: 1,
  sendingBytes: 1,
  markersPerMinute: 1,
}

/** The limits with defaults where nothing else is said. Throws `RangeError` for what is no limit. */
export function providerLimits(limits: Partial<ProviderLimits> = {}): ProviderLimits {
  const known = { ...PROVIDER_LIMITS_DEFAULT }
  for (const [name, value] of Object.entries(limits)) {
    if (!isLimit(name)) {
      throw new RangeError(`limits.${name} is not known; give one of ${Object.keys(known).join(', ')}`)
    }
    if (value === undefined) continue
    checkInteger(`limits.${name}`, value, PROVIDER_LIMITS_MIN[name])
    known[name] = value
  }
  return known
}

function isLimit(name: string): name is keyof ProviderLimits {
  return Object.hasOwn(PROVIDER_LIMITS_DEFAULT, name)
}

/**
 * Runs that one request for single items may have, of items passed over and items meant: it then fits into a
 * frame.
 */
export const RUNS_MAX = 16_384
/**
 * Items are looked for by hints only where they have so many bytes on average: a hint is 4 bytes, and must
 * pay off.
 */
export const HINTED_ITEM_BYTES_MIN = 32
/**
 * Bytes of hints that a session takes from one provider before they must have spared as many: they may be a
 * lie.
 */
export const HINTS_UNPROVEN_BYTES = 256 * 1024

/** The fewest chunks in flight with one provider: while one is on its way, the next is asked for already. */
export const WINDOW_CHUNKS_MIN = 2
/**
 * The most chunks in flight with one provider: what they take in memory is bounded, whatever the provider can
 * send.
 */
export const WINDOW_CHUNKS_MAX = 16
/**
 * How far a fetch runs ahead of the oldest chunk that is not in the new state yet, in decoded bytes. It
 * bounds what a session holds while one chunk is withheld.
 */
export const READ_AHEAD_BYTES = 256 * 1024 * 1024

/**
 * With so many followers to fetch from, the leader is held in reserve: it has the group's writes to order.
 */
export const FOLLOWERS_ENOUGH = 2

/**
 * How long a dial to one address of a peer keeps its next one waiting: what answers at all does so in a few
 * round trips.
 */
export const DIAL_STAGGER_MS = 250
/**
 * How long a dial may take, in milliseconds, also after its callers gave up. On a machine where 64 replicas join at once
 * a handshake takes longer than a caller waits. If each of them began anew, none ended.
 */
export const DIAL_MS_MAX = 30_000
/** With a network key: dials in a row to one peer that end with their caller, before one outlives its own. */
export const DIALS_ANEW = 3
/** Addresses of one peer that are dialled at most, of those it announces. */
export const ADDRESSES_MAX = 16
/**
 * Handshakes with one peer that break off, one after the other, until that is taken for a network key that is
 * not ours.
 */
export const HANDSHAKES_BROKEN = 2

/** What a Busy answer without a time of its own suggests. */
export const BUSY_RETRY_MS = 500
/** The longest pause that a Busy answer can ask for. */
export const BUSY_RETRY_MS_MAX = 5_000
