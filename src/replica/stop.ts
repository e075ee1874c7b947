import { ReplicaStopped } from './errors.ts'
import type { Environment, ReplicaParts } from './parts.ts'

/** End everything that a replica started, in an order in which nothing is asked of a part that has ended. */
export async function stopParts<Result>(parts: ReplicaParts<Result>): Promise<void> {
  const { applier, pruner, leadership, announcer, follower, disk, sync } = parts
  const { network, stopping, status, group } = parts
  const reason = new ReplicaStopped()
  const led = group.leader === network.self
  stopping.abort(reason)
  leadership.stop()
  await Promise.all(parts.running)
  await announcer.stop()
  await disk?.stop(follower)
  applier.fail(reason)
  disk?.fail(reason)
  pruner.stop(reason)
  status.enter('stopped')
  sync.withdraw()
  await announcer.leave({ led })
  // Dials end before the streams and listeners do, and what was offered is released when nobody can ask for
  // it any more.
  await network.stop()
  await sync.close()
  await closeEnvironment(parts)
}

/** Close what the parts stood on, or as much of it as was opened. */
export async function closeEnvironment({
  log,
  data,
}: Partial<Pick<Environment, 'log' | 'data'>>): Promise<void> {
  await log?.close()
  data?.[Symbol.dispose]()
}
