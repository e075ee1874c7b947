import { decodeAnnouncement } from '../../group/announcement.ts'
import { signatureName } from '../../group/versions.ts'
import type { Log } from '../../log/log.ts'
import { isFresh, Sightings } from '../../log/presence.ts'
import { plainText } from '../../plain-text.ts'
import { type Context, EXIT } from '../context.ts'
import { existingLog, signatureOf, withAnyLog } from '../log/open-log.ts'
import { count, duration, shortId } from '../output.ts'
import { printTable } from '../table.ts'

/** Shows what each replica announces of itself. No replica is asked. */
export async function members(context: Context): Promise<number> {
  const { output, signal } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    const notices = new Sightings().look(await log.notices.read({ signal }), performance.now())
    const all = notices.filter(isFresh).flatMap(({ member: id, data, ageMs }) => {
      const announcement = decodeAnnouncement(data)
      if (announcement?.epoch !== log.epoch) return []
      const { speaks, offers: _, format = 1, durable = false, ...rest } = announcement
      return [{ id, ...rest, format, durable, ...versionsOf(log, speaks), announcedMsAgo: Math.round(ageMs) }]
    })
    if (output.json) output.object(all)
    else if (all.length === 0) output.line('no replica is running')
    else print(context, all)
    return EXIT.ok
  })
}

type Known = Awaited<ReturnType<typeof versionsOf>> & {
  readonly id: string
  readonly state: string
  readonly addresses: readonly string[]
  readonly applied: number
  readonly leads: number
  readonly checkpoint: number
  readonly durable: boolean
  readonly format: number
  readonly announcedMsAgo: number
}

function print({ output }: Context, all: readonly Known[]): void {
  const rows = all.map(
    ({ id, state, leads, applied, durable, checkpoint, format, speaks, announcedMsAgo }) => [
      `${shortId(id)}${leads > 0 ? ' *' : ''}`,
      state,
      count(applied),
      durable ? (checkpoint > 0 ? `entry ${count(checkpoint)}` : 'none yet') : 'in memory',
      String(format),
      speaks.join(', '),
      duration(announcedMsAgo),
    ],
  )
  const head = ['replica', 'state', 'position', 'checkpoint', 'format', 'speaks', 'announced ago']
  printTable(output, head, rows)
  output.line()
  for (const { id, addresses } of all)
    output.line(
      plainText(`${id}  ${addresses.length === 0 ? 'asks, and serves nothing' : addresses.join(' ')}`),
    )
}

/** What a member speaks, by the names of signatures that it announces. The names of others stay as they are. */
function versionsOf(log: Pick<Log, 'signature' | 'upgraded'>, speaks: readonly Uint8Array[] | undefined) {
  if (speaks === undefined) return { speaks: [log.signature] }
  const known = new Map(
    [log.signature, signatureOf(log)].map((one) => [Buffer.from(signatureName(one)).toString('hex'), one]),
  )
  const names = speaks.map((name) => Buffer.from(name).toString('hex'))
  return { speaks: names.map((name) => known.get(name) ?? `#${name}`) }
}
