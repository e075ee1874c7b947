import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../log/log.ts'
import { Sightings } from '../../log/presence.ts'
import { type AnchorSeal, AnchorSeals } from '../anchor-seals.ts'
import { type Context, EXIT } from '../context.ts'
import { announcedIn } from '../facts/announced.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, duration, type Output, shortId, shortRoot, size } from '../output.ts'
import { printTable } from '../table.ts'

export interface OffersOptions {
  /** Look again every second, until Ctrl-C. */
  readonly watch?: boolean
}

const WATCH_INTERVAL_MS = 1_000
/** How long a look reads the log, in milliseconds. With `watch` the next one goes on where it ended. */
const READ_MS = 2_000

/** Shows each live offer by its anchor, and what the log says of that. No replica is asked. */
export async function offers(context: Context, { watch }: OffersOptions): Promise<number> {
  const { output, signal } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    const sightings = new Sightings()
    const seals = new AnchorSeals(log)
    for (;;) {
      const announced = await announcedOffers(log, sightings, signal)
      await seals.look([...announced.keys()], AbortSignal.any([signal, AbortSignal.timeout(READ_MS)]))
      signal.throwIfAborted()
      const live = Array.from(announced, ([anchor, by]) => ({ anchor, ...seals.of(anchor), by }))
      if (watch) output.clear()
      if (output.json) output.object({ epoch: log.epoch, offers: live })
      else print(live, output)
      if (!watch) return EXIT.ok
      await delay(WATCH_INTERVAL_MS, undefined, { signal })
    }
  })
}

/** What one member says of its offer of an anchor. */
interface Offered {
  readonly id: string
  /** The whole snapshot is cut. Until then its chunks are served as they come. */
  readonly ready: boolean
  readonly remainingMs: number
  /** Chunk bytes that it has sent of it. */
  readonly servedBytes: number
  readonly leads: boolean
}

type LiveOffer = AnchorSeal & { readonly anchor: number; readonly by: readonly Offered[] }

/** By anchor, the oldest first. */
async function announcedOffers(
  log: Log,
  sightings: Sightings,
  signal: AbortSignal,
): Promise<Map<number, Offered[]>> {
  const announced = await announcedIn(log, { sightings, signal })
  const live = announced.filter(({ isFresh, epoch }) => isFresh && epoch === log.epoch)
  const all = live.flatMap(({ id, ageMs, leads: term, offers }) => {
    const leads = term > 0
    return offers.map(({ anchor, ready, remainingMs, servedBytes = 0 }) => {
      const leftMs = Math.max(0, Math.round(remainingMs - ageMs))
      return [anchor, { id, ready, remainingMs: leftMs, servedBytes, leads }] as const
    })
  })
  const offers = new Map<number, Offered[]>()
  for (const [anchor, offered] of all.sort(([a], [b]) => a - b))
    offers.set(anchor, [...(offers.get(anchor) ?? []), offered])
  return offers
}

function print(live: readonly LiveOffer[], output: Output): void {
  if (live.length === 0) {
    output.line(
      'no live offers: replicas make one when a joiner asks for a snapshot, or "anchorage snapshot" does,',
    )
    return output.line('and it lapses a TTL after the last fetch from it')
  }
  const rows = live.flatMap((offer) =>
    offer.by.map(({ id, ready, remainingMs, servedBytes, leads }, n) => [
      n === 0 ? count(offer.anchor) : '',
      n === 0 ? sealText(offer) : '',
      `${shortId(id)}${leads ? ' *' : ''}`,
      ready ? 'yes' : 'being cut',
      ready ? duration(remainingMs) : '',
      size(servedBytes),
    ]),
  )
  printTable(output, ['anchor', 'root', 'offered by', 'ready', 'lapses in', 'has sent'], rows)
}

function sealText(offer: AnchorSeal): string {
  switch (offer.state) {
    case 'sealed':
      return `${shortRoot(offer.root)}, sealed`
    case 'open':
      return `awaits ${offer.silent.map(shortId).join(', ')}`
    case 'disputed':
      return 'disputed: nobody installs it'
    case 'unknown':
      return 'not known'
  }
}
