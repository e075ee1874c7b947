import type { Announcement } from '../../group/announcement.ts'
import { type Context, EXIT } from '../context.ts'
import { NobodyRuns, NothingDurable } from '../errors.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, counted, shortId } from '../output.ts'
import { Visit } from '../visit.ts'

/**
 * How long the replicas have to write their checkpoints, in milliseconds: a large state takes a slow disk some
 * minutes.
 */
const WRITE_MS = 600_000
/** How often the announcements are looked at, in milliseconds. */
const POLL_INTERVAL_MS = 100

function isDurable({ durable }: Pick<Announcement, 'durable'>): boolean {
  return durable === true
}

/** Have the group write a checkpoint, and wait until it is on the disks of all that have a data directory. */
export async function checkpoint(context: Context): Promise<number> {
  return await withAnyLog(context, existingLog(context), async (log) => {
    await using visit = await Visit.begin(context, log)
    const { visitor } = visit
    const durable = () => visitor.replicas.filter(isDurable)
    const assertDurable = async () => {
      if (await visitor.runs(isDurable, { signal: context.signal })) return
      throw visitor.replicas.length === 0 ? new NobodyRuns(context.group) : new NothingDurable(context.group)
    }
    await assertDurable()
    const voters = () => visitor.replicas.map(({ id }) => id)
    let electors = voters()
    const anchor = await visit.mark()
    const lacking = () => durable().filter((member) => member.checkpoint < anchor.index)
    const holders = await visit.waiting(
      () => `for ${counted(lacking().length, 'replica')} to write entry ${count(anchor.index)} to the disk`,
      async (signal) => {
        const ends = AbortSignal.any([signal, AbortSignal.timeout(WRITE_MS)])
        // Where the announcements of all have lapsed, nobody lacks it, and nobody has it.
        while (durable().length === 0 || lacking().length > 0) {
          await visit.pause(POLL_INTERVAL_MS, ends)
          await assertDurable()
          // Without those that ended since, no root of that anchor may ever have the majority.
          if (electors.every((id) => voters().includes(id))) continue
          electors = voters()
          await visit.mark()
        }
        return durable().map(({ id }) => id)
      },
    )
    context.output.result(
      { position: anchor, replicas: holders },
      `the state at entry ${count(anchor.index)} is on the disks of ${holders.map(shortId).join(', ')}`,
    )
    return EXIT.ok
  })
}
