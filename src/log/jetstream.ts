import type { NodeConnectionOptions } from '@nats-io/transport-node'
import { checkMs } from '../bounds.ts'
import { checkEntryBytes } from './limits.ts'
import type { LogBackend } from './log.ts'

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
/** The shortest window that the servers accept, in milliseconds. */
const DUPLICATE_WINDOW_MS_MIN = 100
/**
 * How often the stream is checked by default, in milliseconds: a deleted or restored stream is noticed that
 * late.
 */
export const POLL_MS = 1_000

/**
 * A log on NATS JetStream, for replicas on many machines. Each group has one stream, whose sequence numbers
 * are the indexes. The servers order and keep the entries: one `nats-server` 2.9 or newer, or several of
 * 2.12.1 or newer. Older servers in a cluster are used too, with a warning (`ServersOutdated`).
 *
 * @example
 * ```ts
 * const log = jetstreamLog({ servers: 'nats://n1.example:4222,nats://n2.example:4222', replicas: 3 })
 * await using replica = await createReplica({ group: 'cities', machine, log })
 * ```
 */
export function jetstreamLog(options: JetstreamLogOptions): LogBackend {
  const { replicas = 1, duplicateWindowMs = DUPLICATE_WINDOW_MS, pollMs = POLL_MS, maxEntryBytes } = options
  if (![1, 3, 5].includes(replicas)) throw new RangeError(`replicas is ${replicas}; give 1, 3 or 5`)
  checkMs('duplicateWindowMs', duplicateWindowMs, DUPLICATE_WINDOW_MS_MIN)
  checkMs('pollMs', pollMs, 1)
  checkEntryBytes(maxEntryBytes)
  return {
    async open(init) {
      // The client takes a while to load. A program with another log need not wait for it.
      const { JetstreamLog } = await import('./jetstream/jetstream-log.ts')
      return await JetstreamLog.open(options, init)
    },
  }
}
