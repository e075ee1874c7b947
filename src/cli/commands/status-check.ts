import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, counted, shortId } from '../output.ts'
import { GroupLook, type Seen } from '../status/group-look.ts'
import { readThrough, type StatusOptions } from './status.ts'

/** What a group has to be like to be well. */
interface Demands {
  /** Replicas in sync, at least. */
  readonly expect: number
  /** Entries that a replica in sync may be behind. */
  readonly maxLag: number
}

/** Something that is not as it should be. */
interface Finding {
  /** Stays the same between releases. */
  readonly code: 'nobody-runs' | 'no-leader' | 'too-few-in-sync' | 'lags' | 'lost' | 'halted' | 'contested'
  readonly message: string
}

/** Tells by its exit code whether the group is well, for scripts: see docs/operations.md. No replica is asked. */
export async function checkStatus(context: Context, options: StatusOptions): Promise<number> {
  const { output, signal } = context
  if (options.watch) throw new UsageError('--check looks once, and --watch goes on: give one of them')
  const demands = { expect: options.expect ?? 1, maxLag: options.maxLag ?? Number.POSITIVE_INFINITY }
  return await withAnyLog(context, existingLog(context), async (log) => {
    const seen = await new GroupLook(log, context).look()
    if (context.log.isFile) await readThrough(log, seen.first, signal)
    const findings = findingsOf(seen, demands)
    const well = findings.length === 0
    if (output.json) output.object({ well, findings, ...seen })
    else if (well) output.line(output.style('green', `well: ${summaryOf(seen)}`))
    else for (const { message } of findings) output.line(output.style('red', `not well: ${message}`))
    return well ? EXIT.ok : EXIT.unwell
  })
}

function findingsOf(seen: Seen, { expect, maxLag }: Demands): Finding[] {
  const replicas = replicasOf(seen)
  if (replicas.length === 0) return [{ code: 'nobody-runs', message: 'no replica is running' }]
  const findings: Finding[] = []
  if (seen.leader === null) findings.push({ code: 'no-leader', message: 'no replica leads' })
  for (const { id, state, lag, contested } of replicas) {
    const name = shortId(id)
    if (contested) findings.push({ code: 'contested', message: `two processes have the identity of ${name}` })
    if (state === 'halted' || state === 'lost')
      findings.push({ code: state, message: `${name} is ${state}: its own output says why` })
    if (state === 'in-sync' && lag > maxLag)
      findings.push({
        code: 'lags',
        message: `${name} is ${counted(lag, 'entry', 'entries')} behind, and ${count(maxLag)} may be`,
      })
  }
  const inSync = replicas.filter(({ state, lag }) => state === 'in-sync' && lag <= maxLag).length
  if (inSync < expect)
    findings.push({
      code: 'too-few-in-sync',
      message: `${count(inSync)} of ${counted(replicas.length, 'replica')} ${inSync === 1 ? 'is' : 'are'} in sync, and ${count(expect)} should be`,
    })
  return findings
}

function summaryOf(seen: Seen): string {
  const inSync = replicasOf(seen).filter(({ state }) => state === 'in-sync')
  const lag = Math.max(0, ...inSync.map(({ lag }) => lag))
  return `${counted(inSync.length, 'replica')} in sync, at most ${counted(lag, 'entry', 'entries')} behind; ${shortId(seen.leader!)} leads, term ${seen.term}`
}

/** Commands that ask are members for a moment. */
function replicasOf({ members }: Seen): Seen['members'] {
  return members.filter(({ addresses }) => addresses.length > 0)
}
