/** The protocol's version is part of its id: `/<prefix>/sync/1.0.0`. */
export const PROTOCOL_NAME = 'sync'
export const PROTOCOL_VERSION = '1.0.0'
export const PROTOCOL_PREFIX_DEFAULT = 'anchorage'

/** How long an offer lives when nobody fetches. */
export const TTL_MS_DEFAULT = 10_000
/** How long a session waits for an anchor to be named, for offers of it, or for its seal. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 15_000
/** How long a peer may send nothing while answers are due. */
export const FETCH_TIMEOUT_MS_DEFAULT = 5_000
/** How long a provider lets a request for the manifest wait for the cut before it says Busy. */
export const MANIFEST_WAIT_MS = 2_000
/** Live anchors of a group at which the leader says Busy instead of appending another marker. */
export const LIVE_ANCHORS_MAX = 2

/** A request is a few identifiers: nothing longer is read. */
export const REQUEST_BYTES_MAX = 64 * 1024
/**
 * An answer is a chunk, or a manifest; the largest chunk is one of 16 MiB, full but for a byte, and an item of 32 MiB.
 * Bounds what a provider can make a session hold for one frame.
 */
export const RESPONSE_BYTES_MAX = 49 * 1024 * 1024
/** Streams one peer may have open to a provider. */
export const INBOUND_STREAMS_MAX = 32
/** Chunks asked of one provider and not yet received. */
export const WINDOW_CHUNKS = 4
/** Chunks in one ranged fetch. */
export const RANGE_CHUNKS_MAX = 4
/** Failures of one provider after which a session leaves it. */
export const PROVIDER_FAILURES_MAX = 3
/** How often a session looks for offers and providers. */
export const LOOK_MS = 200
/** What a Busy answer without a time of its own suggests. */
export const BUSY_RETRY_MS = 500
/** The longest pause that a Busy answer can ask for. */
export const BUSY_RETRY_MS_MAX = 5_000
/** With so many followers to fetch from, the leader is held in reserve. */
export const FOLLOWERS_ENOUGH = 2
/** How long a session waits for that many followers to offer an anchor before it asks the leader too. */
export const FOLLOWERS_GRACE_MS = 1_000
