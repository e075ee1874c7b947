import type { NodeConnectionOptions } from '@nats-io/transport-node'

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
   * `LogUnusable`.
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
   * If false, opening fails with `LogMissing` when there is no such stream. Default: true, which makes it.
   */
  readonly create?: boolean
  /** The JetStream domain, if the servers are leaf nodes of several domains. Default: none. */
  readonly domain?: string
  /**
   * The servers' deduplication window for a new stream, in milliseconds: within it they recognise an entry
   * that is published twice. An append without an answer is repeated for half of it. From 100. Default:
   * 120,000.
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
