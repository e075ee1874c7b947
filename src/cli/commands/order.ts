import { SyncError } from '../../sync/errors.ts'
import type { Order } from '../../sync/host.ts'
import type { Channel } from '../../sync/wire/channel.ts'
import { Busy, Malformed, NotLeader } from '../../sync/wire/errors.ts'
import { type Context, EXIT } from '../context.ts'
import { OutdatedRelease } from '../errors.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, shortId } from '../output.ts'
import { Visit } from '../visit.ts'

/** Pause before the leader is asked again, in milliseconds: it may just have been elected. */
const RETRY_MS = 200

export interface PruneOptions {
  /** Newest entries that stay. */
  readonly keep: number
  /** Only tell what would be pruned. */
  readonly dryRun?: boolean
}

/** Have the leader prune the log. */
export async function prune(context: Context, { keep: keepEntries }: PruneOptions): Promise<number> {
  const upTo = await order(context, 'for the leader to prune', { type: 'prune', keepEntries })
  const text = upTo === 0 ? 'there was nothing to prune' : `pruned the log up to entry ${count(upTo)}`
  context.output.result({ upTo }, text)
  return EXIT.ok
}

export interface UpgradeOptions {
  /** The signature of the version. Default: the newest that all replicas speak. */
  readonly to?: string
}

/** Have the leader bring the group to another version of the machine. */
export async function upgrade(context: Context, { to = '' }: UpgradeOptions): Promise<number> {
  const version = to === '' ? 'the newest version that all replicas speak' : JSON.stringify(to)
  const index = await order(context, `for the group to speak ${version}`, { type: 'upgrade', to })
  context.output.result(
    { to: to === '' ? null : to, index },
    `the group speaks ${version}, from entry ${count(index)} on`,
  )
  return EXIT.ok
}

/** Give the leader an order. Resolves with the entry that its outcome is about. */
async function order(context: Context, what: string, given: Order): Promise<number> {
  return await withAnyLog(context, existingLog(context), async (log) => {
    await using visit = await Visit.begin(context, log)
    return await visit.withLeader(
      () => what,
      async (signal) => await untilObeyed(visit, given, signal),
    )
  })
}

async function untilObeyed(visit: Visit, given: Order, signal: AbortSignal): Promise<number> {
  const give = async (channel: Channel) =>
    (await channel.request({ type: 'order', order: given }, 'done')).index
  for (;;) {
    const leader = visit.visitor.leader
    if (leader !== undefined) {
      try {
        return await visit.visitor.ask(give, { among: [leader], signal })
      } catch (error) {
        const { cause } = error as Error
        if (cause instanceof Malformed) throw new OutdatedRelease(shortId(leader.id))
        // Another one leads by now, or will.
        if (!(cause instanceof NotLeader || cause instanceof Busy))
          throw cause instanceof SyncError ? cause : error
        visit.met(cause)
      }
    }
    await visit.pause(RETRY_MS, signal)
  }
}
