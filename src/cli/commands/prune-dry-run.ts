import { setTimeout as delay } from 'node:timers/promises'
import type { LogHold, PruneOutlook } from '../../group/pruning.ts'
import { plainText } from '../../plain-text.ts'
import type { ReplicaReport, ReportedMember } from '../../replica/snapshots/report.ts'
import { SyncError } from '../../sync/errors.ts'
import { Busy } from '../../sync/wire/errors.ts'
import { type Context, EXIT } from '../context.ts'
import { OutdatedRelease } from '../errors.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, counted, type Output, shortId } from '../output.ts'
import { printTable } from '../table.ts'
import { Visit } from '../visit.ts'

/** Pause before the leader is asked again, in milliseconds: it may just have been elected. */
const RETRY_MS = 200

/** What keeps entries in the log: with what the operator wants to keep, and who it is. */
interface Hold extends Omit<LogHold, 'by'> {
  readonly by: LogHold['by'] | 'keep'
}

/** Tell what the leader would prune, and who holds the log and why. Nothing is pruned. */
export async function dryRun(context: Context, keepEntries: number): Promise<number> {
  const { report, prune } = await withAnyLog(context, existingLog(context), async (log) => {
    await using visit = await Visit.begin(context, log)
    return await visit.withLeader(
      () => 'for the leader to tell what holds the log',
      (signal) => untilTold(visit, signal),
    )
  })
  const { first, newest } = report.log
  const applied = report.position.index
  const holds = [{ by: 'keep', upTo: Math.max(0, applied - keepEntries) } as const, ...named(report, prune)]
  const held = Math.min(...holds.map(({ upTo }) => upTo))
  const upTo = prune.refusal === null && held >= first ? held : 0
  const plan: Plan = {
    dryRun: true,
    first,
    newest: newest.index,
    keepEntries,
    upTo,
    entries: upTo === 0 ? 0 : upTo - first + 1,
    holds: holds.sort((a, b) => a.upTo - b.upTo),
    // They can do without what goes no more than before, and need a snapshot.
    leftBehind: report.members.filter((one) => isLeftBehind(one, upTo)).map(({ id }) => id),
    policy: prune.policy,
    refusal: prune.refusal,
  }
  if (context.output.json) context.output.object(plan)
  else print(plan, context.output)
  return EXIT.ok
}

/** What the leader would do, as it is printed with `--json`. */
interface Plan extends Pick<PruneOutlook, 'policy' | 'refusal'> {
  readonly dryRun: true
  readonly first: number
  readonly newest: number
  readonly keepEntries: number
  /** The newest entry that would go; 0: none would. */
  readonly upTo: number
  /** How many would go. */
  readonly entries: number
  /** The one that holds most first. */
  readonly holds: readonly Hold[]
  /** Replicas that have not applied what would go, by what they announced, which is up to a fifth of a lease old. */
  readonly leftBehind: readonly string[]
}

interface Told {
  readonly report: ReplicaReport
  readonly prune: PruneOutlook
}

/** The report of a replica that leads by the log and not only by what it announced. */
async function untilTold(visit: Visit, signal: AbortSignal): Promise<Told> {
  for (;;) {
    const { leader } = visit.visitor
    if (leader !== undefined) {
      try {
        const json = await visit.visitor.ask((channel) => channel.status(), { among: [leader], signal })
        const report: ReplicaReport = JSON.parse(Buffer.from(json).toString())
        if (report.leader === report.id && report.state === 'in-sync') {
          const { prune } = report
          if (prune !== undefined) return { report, prune }
          throw new OutdatedRelease(shortId(leader.id), 'does not tell what holds the log')
        }
      } catch (error) {
        const { cause } = error as Error
        if (!(cause instanceof Busy)) throw cause instanceof SyncError ? cause : error
        visit.met(cause)
      }
    }
    await delay(RETRY_MS, undefined, { signal })
  }
}

/** The checkpoint that counts is somebody's, too. */
function named({ members }: ReplicaReport, { holds }: PruneOutlook): Hold[] {
  return holds.map((hold) => {
    const holder = members.find(({ checkpoint }) => hold.by === 'checkpoint' && checkpoint === hold.upTo)
    return holder === undefined || hold.upTo === 0 ? hold : { ...hold, member: holder.id }
  })
}

function isLeftBehind({ addresses, state, applied, needs }: ReportedMember, upTo: number): boolean {
  return addresses.length > 0 && state !== 'stopped' && needs === 0 && applied < upTo
}

function print(plan: Plan, output: Output): void {
  const { first, newest, upTo, entries, holds, leftBehind, policy, refusal, keepEntries } = plan
  output.line(
    newest < first
      ? `the log holds no entry; the next is ${count(newest + 1)}`
      : `the log holds entries ${count(first)} to ${count(newest)}`,
  )
  if (refusal !== null) output.line(`a prune would be refused: ${plainText(refusal)}`)
  else if (upTo === 0) output.line('there would be nothing to prune')
  else output.line(`${counted(entries, 'entry', 'entries')} would go, up to entry ${count(upTo)}`)
  output.line(
    policy === null
      ? 'nobody prunes unasked: no replica has a policy, as "anchorage node --keep" gives it one'
      : `unasked, the leader keeps the newest ${count(policy.keepEntries)}`,
  )
  output.line()
  const rows = holds.map((hold) => [
    `entry ${count(hold.upTo)}`,
    reason(hold, keepEntries),
    hold.member === undefined ? '' : shortId(hold.member),
  ])
  printTable(output, ['at most up to', 'because', 'replica'], rows)
  for (const id of leftBehind)
    output.line(`${shortId(id)} has not applied all that would go, and would fetch a snapshot`)
}

function reason({ by, upTo }: Hold, keepEntries: number): string {
  switch (by) {
    case 'keep':
      return keepEntries === 0 ? 'that is the newest' : `the newest ${count(keepEntries)} stay, by --keep`
    case 'checkpoint':
      return upTo === 0
        ? 'no replica has a checkpoint on its disk'
        : 'the newest checkpoint on a disk does not hold what comes later'
    case 'offer':
      return 'it offers a snapshot, and whoever installs that goes on from there'
    case 'catch-up':
      return 'it catches up, and goes on from there'
    case 'policy':
      return 'a policy keeps them'
    default:
      return plainText(`of ${by satisfies never}`)
  }
}
