import { checkInteger, checkMs } from '../bounds.ts'
import { DUPLICATE_WINDOW_MS, type JetstreamLogOptions, POLL_MS } from './jetstream/options.ts'
import { isSubject } from './jetstream/subjects.ts'
import { checkEntryBytes } from './limits.ts'
import type { LogBackend } from './log.ts'

export type { LogBeginning } from './jetstream/options.ts'
export type { JetstreamLogOptions }

/** The shortest window that the servers accept, in milliseconds. */
const DUPLICATE_WINDOW_MS_MIN = 100

/**
 * A log on NATS JetStream, for replicas on many machines. Each group has one stream, whose sequence numbers
 * are the indexes. The servers order and keep the entries: one `nats-server` 2.9 or newer, or several of
 * 2.12.1 or newer. Older servers in a cluster are used too, with a warning (`ServersOutdated`).
 *
 * With `control` it is a stream that others own and write: each of its messages is a command. Throws `RangeError` for
 * an impossible option, and for one that is not for such a stream, or only for one.
 *
 * @example
 * ```ts
 * const log = jetstreamLog({ servers: 'nats://n1.example:4222,nats://n2.example:4222', replicas: 3 })
 * await using replica = await createReplica({ group: 'cities', machine, log })
 * ```
 * @example
 * ```ts
 * const log = jetstreamLog({ servers: 'nats://n1.example:4222', stream: 'ORDERS', control: 'orders.anchorage' })
 * ```
 */
export function jetstreamLog(options: JetstreamLogOptions): LogBackend {
  const { replicas = 1, duplicateWindowMs = DUPLICATE_WINDOW_MS, pollMs = POLL_MS, maxEntryBytes } = options
  if (![1, 3, 5].includes(replicas)) throw new RangeError(`replicas is ${replicas}; give 1, 3 or 5`)
  checkMs('duplicateWindowMs', duplicateWindowMs, DUPLICATE_WINDOW_MS_MIN)
  checkMs('pollMs', pollMs, 1)
  checkEntryBytes(maxEntryBytes)
  if (options.control === undefined) checkOwn(options)
  else checkForeign(options.control, options)
  return {
    async open(init) {
      // The client takes a while to load. A program with another log need not wait for it.
      const { JetstreamLog } = await import('./jetstream/jetstream-log.ts')
      return await JetstreamLog.open(options, init)
    },
  }
}

const FOREIGN_ONLY = ['from', 'addControlSubject', 'prune'] as const
const OWN_ONLY = ['replicas', 'duplicateWindowMs'] as const

function checkOwn(options: JetstreamLogOptions): void {
  for (const name of FOREIGN_ONLY) {
    if (options[name] === undefined) continue
    throw new RangeError(
      `${name} is for a stream of others: give control, the subject of the group's own entries`,
    )
  }
}

function checkForeign(control: string, options: JetstreamLogOptions): void {
  if (!isSubject(control)) {
    throw new RangeError(
      `control is ${JSON.stringify(control)}; give a subject of words with dots between and no wildcard, such as orders.anchorage`,
    )
  }
  if (options.stream === undefined) {
    throw new RangeError('control is given, and no stream: give the name of the stream that others write')
  }
  for (const name of OWN_ONLY) {
    if (options[name] === undefined) continue
    throw new RangeError(`${name} is for a stream of one's own: leave it to those who own ${options.stream}`)
  }
  const { from = 'all' } = options
  if (typeof from === 'number') checkInteger('from', from, 1)
  else if (!['all', 'oldest', 'new'].includes(from)) {
    throw new RangeError(`from is ${JSON.stringify(from)}; give 'all', 'oldest', 'new' or a sequence number`)
  }
}
