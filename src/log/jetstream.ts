import { checkMs } from '../bounds.ts'
import { DUPLICATE_WINDOW_MS, type JetstreamLogOptions, POLL_MS } from './jetstream/options.ts'
import { checkEntryBytes } from './limits.ts'
import type { LogBackend } from './log.ts'

export type { JetstreamLogOptions }

/** The shortest window that the servers accept, in milliseconds. */
const DUPLICATE_WINDOW_MS_MIN = 100

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
