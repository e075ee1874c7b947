/** The longest key, in bytes, after encoding. */
export const KEY_BYTES_MAX = 64 * 1024

/**
 * The longest TTL, in milliseconds: 8,900 years. A deadline then still fits into a uvarint of seven bytes.
 */
export const TTL_MS_MAX = 2 ** 48

/** The longest priority of a queue, in bytes, after encoding. Its place in the order is then within a key's limit. */
export const PRIORITY_BYTES_MAX = 16 * 1024
