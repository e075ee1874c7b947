import { setTimeout as delay } from 'node:timers/promises'
import { decodeAnnouncement } from '../../group/announcement.ts'
import { LogDamaged } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import { isFresh, Sightings } from '../../log/presence.ts'
import type { Inquiry } from '../ask-replicas.ts'
import { type Context, EXIT } from '../context.ts'
import { existingLog, signatureOf, withAnyLog } from '../log/open-log.ts'
import { count, duration, type Output, shortId } from '../output.ts'
import { plainText } from '../plain-text.ts'
import { printTable } from '../table.ts'
import { networkOf } from './network-key.ts'

export interface StatusOptions {
  /** Look again every second, until Ctrl-C. */
  readonly watch?: boolean
  /** Only tell whether the group is well, by the exit code. */
  readonly check?: boolean
  /** With `check`: how many replicas are to be in sync at least. Default 1. */
  readonly expect?: number
  /** With `check`: how many entries a replica in sync may be behind. Default: any number. */
  readonly maxLag?: number
}

const WATCH_INTERVAL_MS = 1_000
/**
 * How long a file is read for damage, in milliseconds: a user waits a second for a status, and not longer.
 */
const READ_THROUGH_MS = 1_000

/** Shows what the log and the replicas' announcements say, and which version the group speaks, if one answers. */
export async function status(context: Context, { watch }: StatusOptions): Promise<number> {
  const { output, signal } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    const sightings = new Sightings()
    await using inquiry = await inquiryOf(context, log)
    for (let looks = 1; ; looks++) {
      const seen = await look(log, sightings, context)
      const report = seen.members.some(({ addresses }) => addresses.length > 0) && (await inquiry.report())
      const { signature = signatureOf(log), format = null } = report || {}
      const now = { ...seen, signature, format }
      if (watch) output.clear()
      if (output.json) output.object(now)
      else print(now, output)
      if (looks === 1 && context.log.isFile) await readThrough(log, now.first, signal)
      if (!watch) return EXIT.ok
      await delay(WATCH_INTERVAL_MS, undefined, { signal })
    }
  })
}

async function inquiryOf(context: Context, log: Log): Promise<Inquiry> {
  const { Inquiry } = await import('../ask-replicas.ts')
  const { group, output, signal } = context
  const network = await networkOf(context)
  return new Inquiry({ group, output, signal, log, signature: signatureOf(log), ...network })
}

/** Throws `LogDamaged` for damage that otherwise only the next joiner would find. */
export async function readThrough(log: Log, first: number, signal: AbortSignal): Promise<void> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(READ_THROUGH_MS)])
  try {
    for await (const _ of log.read({ index: first - 1 }, { signal: enough }));
  } catch (error) {
    // It may be pruned meanwhile.
    if (error instanceof LogDamaged) throw error
  }
}

/** What the log and the announcements say. */
export type Seen = Awaited<ReturnType<typeof look>>

type Status = Seen & {
  readonly signature: string
  readonly format: number | null
}

export async function look(log: Log, sightings: Sightings, { log: { name }, group, signal }: Context) {
  // The presences first: nobody can then have applied more than the log holds.
  const notices = sightings.look(await log.notices.read({ signal }), performance.now()).filter(isFresh)
  const { epoch, first, newest } = await log.bounds({ signal })
  const members = notices.flatMap(({ member: id, data, ageMs }) => {
    const announcement = decodeAnnouncement(data)
    if (announcement?.epoch !== epoch) return []
    const { state, applied, leads, needs, addresses, contested } = announcement
    const offers = announcement.offers.map(({ anchor, ready, remainingMs }) => ({
      anchor,
      ready,
      remainingMs: Math.max(0, Math.round(remainingMs - ageMs)),
    }))
    const lag = newest.index - applied
    const stands = { id, state, position: applied, lag, leads, needs, contested: contested === true }
    return [{ ...stands, addresses, offers, announcedMsAgo: ageMs }]
  })
  const term = Math.max(0, ...members.map(({ leads }) => leads))
  const leader = term > 0 ? members.find(({ leads }) => leads === term)!.id : null
  return { log: name, group, epoch, first, newest, leader, term, members }
}

function print(status: Status, output: Output): void {
  const { log, group, epoch, first, newest, leader, term, signature, format } = status
  // Commands that ask are members for a moment.
  const members = status.members.filter(({ addresses }) => addresses.length > 0)
  const held = newest.index - first + 1
  output.line(`log       ${log}, group ${group}, epoch ${epoch.slice(0, 8)}`)
  output.line(`machine   ${plainText(signature)}${format === null ? '' : `, group format ${format}`}`)
  output.line(
    held > 0
      ? `entries   ${count(first)} to ${count(newest.index)} (${count(held)} readable)`
      : `entries   none readable; the next is ${count(newest.index + 1)}`,
  )
  output.line(
    `leader    ${leader === null ? 'nobody has announced that it leads' : `${shortId(leader)}, term ${term}`}`,
  )
  output.line()
  if (members.length === 0) return output.line('no replica is running')
  const replicas = members.map(({ id, state, position, lag, needs, announcedMsAgo }) => [
    `${shortId(id)}${id === leader ? ' *' : ''}`,
    state,
    count(position),
    count(lag),
    needs > 0 ? `anchor ${count(needs)}` : '',
    duration(announcedMsAgo),
  ])
  printTable(output, ['replica', 'state', 'position', 'lag', 'needs', 'announced ago'], replicas)
  for (const { id, contested } of members) {
    if (contested)
      output.line(output.style('red', `two processes have the identity of ${shortId(id)}: stop one of them`))
  }
  const offers = members.flatMap(({ id, offers }) =>
    offers.map(({ anchor, ready, remainingMs }) => [
      count(anchor),
      shortId(id),
      ready ? duration(remainingMs) : 'being cut',
    ]),
  )
  output.line()
  if (offers.length === 0) return output.line('no live offers')
  printTable(output, ['offered anchor', 'by', 'lapses in'], offers)
}
