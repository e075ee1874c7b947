import type { NodeConnectionOptions } from '@nats-io/transport-node'
import { checkMs } from '../bounds.ts'
import { checkEntryBytes } from './limits.ts'
import type { LogBackend } from './log.ts'

export interface JetstreamLogOptions {
  /**
   * One or more NATS servers: `nats://host:4222`, several with commas between or in a list; `user:password@` or `token@` may stand
   * before the host, and `tls://` demands TLS. Others of their cluster are found by themselves.
   */
  readonly servers: string | readonly string[]
  /**
   * How many of the servers keep the log: 1, 3 or 5. With 3 it outlives the loss of one of them. Default: what the stream has; 1 where
   * it is made. A stream kept by fewer than asked for is refused with `LogUnusable`.
   */
  readonly replicas?: 1 | 3 | 5
  /**
   * The NATS client's other options: `user` and `pass`, `token`, `authenticator` (an NKey, a credentials file), `tls`, `name`. It
   * always reconnects.
   */
  readonly connection?: Omit<NodeConnectionOptions, 'servers'>
  /**
   * The stream's name, of 1 to 200 letters, digits, `-` and `_`. Default: `anchorage-` and the group's, where `_5f` stands for
   * `_`, and so on; of a long one its beginning, and a hash of it.
   */
  readonly stream?: string
  /** False: opening fails with `LogMissing` where the stream is not there, rather than make it. Default: true. */
  readonly create?: boolean
  /** The JetStream domain, where servers are leaf nodes of several. Default: none. */
  readonly domain?: string
  /**
   * For how long the servers know an entry again that is published twice, in milliseconds, where the stream is made. An append that gets no
   * answer is repeated for half of it. From 100. Default: 120,000.
   */
  readonly duplicateWindowMs?: number
  /** How often the stream is looked at while somebody waits for its next entry, in milliseconds from 1. Default: 1,000. */
  readonly pollMs?: number
  /**
   * The largest payload of an entry, and the largest notice, in bytes, 4 KiB to 31 MiB. Default: what the servers take, 1 MiB less 1 KiB
   * unless set otherwise.
   */
  readonly maxEntryBytes?: number
}

export const DUPLICATE_WINDOW_MS = 120_000
/** Servers take no shorter one. */
const DUPLICATE_WINDOW_MS_MIN = 100
export const POLL_MS = 1_000

/**
 * A log on NATS JetStream, for replicas on many machines: one stream for each group, whose sequence numbers are the indexes. The
 * servers order and keep the entries: one `nats-server` 2.9 or newer, or several of 2.12.1 or newer. Older ones in a cluster are used,
 * and warned of (`ServersOutdated`).
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
      // The client takes a while to load, which a program on another log need not wait for.
      const { JetstreamLog } = await import('./jetstream/jetstream-log.ts')
      return await JetstreamLog.open(options, init)
    },
  }
}
