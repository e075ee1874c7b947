import type { NodeConnectionOptions } from '@nats-io/transport-node'

/** Where the log of a stream of others begins. */
export type LogBeginning = 'all' | 'oldest' | 'new' | number

/** Options of `jetstreamLog`. */
export interface JetstreamLogOptions {
  /**
   * One or more NATS servers: `nats://host:4222`, as a list or with commas between. `user:password@` or
   * `token@` may precede the host, and `tls://` demands TLS. The other servers of their cluster are found
   * automatically.
   */
  readonly servers: string | readonly string[]
  /**
   * How many servers keep the log: 1, 3 or 5. With 3 the log survives the loss of one. Default: what the
   * stream has, and 1 for a new stream. A stream that fewer servers keep than asked for is refused with
   * `LogUnusable`. Not for a stream of others.
   */
  readonly replicas?: 1 | 3 | 5
  /**
   * The NATS client's other options: `user` and `pass`, `token`, `authenticator` (an NKey, a credentials
   * file), `tls`, `name`. The client always reconnects.
   */
  readonly connection?: Omit<NodeConnectionOptions, 'servers'>
  /**
   * The stream's name, of 1 to 200 letters, digits, `-` and `_`. Default: `anchorage-` and the group's name,
   * in which `_5f` stands for `_`, and so on. For a long group name, it has the beginning of the name and a
   * hash of it.
   */
  readonly stream?: string
  /**
   * A subject for the group's own entries, such as `orders.anchorage`. With it, `stream` names a stream that others
   * own and write: each of its messages is an entry, and a command unless it is on this subject. The stream must
   * take the subject, and nobody else may publish on it. Each group of a stream has another. Default: none: the
   * stream is Anchorage's own, and is made if there is none.
   */
  readonly control?: string
  /**
   * Where the log of a stream of others begins. It counts when the first program of the group opens it:
   *
   * - `'all'`: with message 1, which must still be there. An entry's index is then its message's sequence number.
   * - `'oldest'`: with the oldest message that is still there. If the stream has limits, a tenth of what is there
   *   is left out, because it would be gone before the replicas have read it.
   * - `'new'`: with the next message.
   * - a number: with the message of this sequence number.
   *
   * Default: `'all'`.
   */
  readonly from?: LogBeginning
  /**
   * Add `control` to the subjects of the stream of others, if it does not take it yet. That is the only change that
   * Anchorage ever makes to it. Default: false.
   */
  readonly addControlSubject?: boolean
  /**
   * Let the group purge the stream of others, up to what it no longer needs. Default: false: how long messages are
   * kept is their owner's business.
   */
  readonly prune?: boolean
  /**
   * If false, opening fails with `LogMissing` when there is no such stream. Default: true, which makes it.
   */
  readonly create?: boolean
  /** The JetStream domain, if the servers are leaf nodes of several domains. Default: none. */
  readonly domain?: string
  /**
   * The servers' deduplication window for a new stream, in milliseconds: within it they recognise an entry
   * that is published twice. An append without an answer is repeated for half of it. From 100. Default:
   * 120,000. Not for a stream of others.
   */
  readonly duplicateWindowMs?: number
  /**
   * How often the stream is checked while a reader waits for its next entry, in milliseconds from 1. Default:
   * 1,000.
   */
  readonly pollMs?: number
  /**
   * The largest payload of an entry, and the largest presence, in bytes: 4 KiB to 31 MiB. Default: what the
   * servers take, which is 1 MiB less 1 KiB unless they are configured otherwise.
   */
  readonly maxEntryBytes?: number
}

/**
 * The default deduplication window of a new stream, in milliseconds: two minutes, which is also the servers'
 * own default.
 */
export const DUPLICATE_WINDOW_MS = 120_000
/**
 * How often the stream is checked by default, in milliseconds: a deleted or restored stream is noticed that
 * late.
 */
export const POLL_MS = 1_000
