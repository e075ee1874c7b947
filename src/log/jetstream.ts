import type { NodeConnectionOptions } from '@nats-io/transport-node'
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
  /** The stream's name. Default: `anchorage-` and the group's, where `_5f` stands for `_`, and so on. */
  readonly stream?: string
  /** False: opening fails with `LogMissing` where the stream is not there, rather than make it. Default: true. */
  readonly create?: boolean
  /** The JetStream domain, where servers are leaf nodes of several. Default: none. */
  readonly domain?: string
  /**
   * For how long the servers know an entry again that is published twice, in milliseconds, where the stream is made. An append that gets no
   * answer is repeated for half of it. Default: 120,000.
   */
  readonly duplicateWindowMs?: number
  /** How often the stream is looked at while somebody waits for its next entry, in milliseconds. Default: 1,000. */
  readonly pollMs?: number
  /** The largest payload of an entry, and the largest notice, in bytes. Default: what the servers take, 1 MiB less 1 KiB unless set otherwise. */
  readonly maxEntryBytes?: number
}

/**
 * A log on NATS JetStream, for replicas on many machines: one stream for each group, whose sequence numbers are the indexes. The
 * servers order and keep the entries; `nats-server` 2.9 or newer.
 *
 * @example
 * ```ts
 * const log = jetstreamLog({ servers: 'nats://n1.example:4222,nats://n2.example:4222', replicas: 3 })
 * await using replica = await createReplica({ group: 'cities', machine, log })
 * ```
 */
export function jetstreamLog(options: JetstreamLogOptions): LogBackend {
  return {
    async open(init) {
      // The client takes a while to load, which a program on another log need not wait for.
      const { JetstreamLog } = await import('./jetstream/jetstream-log.ts')
      return await JetstreamLog.open(options, init)
    },
  }
}
