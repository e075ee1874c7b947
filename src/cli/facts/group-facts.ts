import { decodeControl } from '../../group/control.ts'
import { signatureName } from '../../group/versions.ts'
import type { Log, LogBounds } from '../../log/log.ts'
import { Sightings } from '../../log/presence.ts'
import type { Context } from '../context.ts'
import { nameOf, signatureOf } from '../log/open-log.ts'
import { type Announced, announcedIn } from './announced.ts'

/** A replica that the log names as the author of a control entry. */
export interface Author {
  readonly id: string
  /** When the log took its newest one of those that were read, in milliseconds since 1970. */
  readonly atMs: number
}

/** How many of the newest entries are searched for who led and attested. */
const SEARCHED_ENTRIES = 500
/** How long that may take, in milliseconds. */
const SEARCH_MS = 1_000

export interface GroupFactsInit {
  readonly place: string
  readonly group: string
  readonly signature: string
  readonly bounds: LogBounds
  readonly running: readonly Announced[]
  readonly silent: readonly Announced[]
  readonly elsewhere: readonly Announced[]
  readonly authors: readonly Author[]
}

/** What the log and the announcements in it say at one moment. Nobody was asked. */
export class GroupFacts {
  /** The log's name, for people. */
  readonly place: string
  readonly group: string
  /** The newest version of the machine that is known of the log. */
  readonly signature: string
  readonly bounds: LogBounds
  /** Replicas whose announcement is fresh. */
  readonly running: readonly Announced[]
  /** Replicas that stopped, or whose announcement has expired, as far as the presence store still has it. */
  readonly silent: readonly Announced[]
  /** Replicas that announce themselves here and follow another incarnation of the log. */
  readonly elsewhere: readonly Announced[]
  /** Who led or attested in the newest entries, the latest last. */
  readonly authors: readonly Author[]

  static async gather(log: Log, context: Pick<Context, 'log' | 'group' | 'signal'>): Promise<GroupFacts> {
    const { group, signal } = context
    // The presences first: nobody can then have applied more than the log holds.
    const announced = await announcedIn(log, { sightings: new Sightings(), signal })
    const bounds = await log.bounds({ signal })
    // Commands that ask are members for a moment, without an address.
    const all = announced.filter(({ addresses }) => addresses.length > 0)
    const here = all.filter(({ epoch }) => epoch === bounds.epoch)
    return new GroupFacts({
      place: nameOf(context as Context),
      group,
      signature: signatureOf(log),
      bounds,
      running: here.filter(({ isFresh, state }) => isFresh && state !== 'stopped'),
      silent: here.filter(({ isFresh, state }) => !isFresh || state === 'stopped'),
      elsewhere: all.filter(({ epoch, isFresh }) => isFresh && epoch !== bounds.epoch),
      authors: await authorsIn(log, bounds, signal),
    })
  }

  constructor(init: GroupFactsInit) {
    this.place = init.place
    this.group = init.group
    this.signature = init.signature
    this.bounds = init.bounds
    this.running = init.running
    this.silent = init.silent
    this.elsewhere = init.elsewhere
    this.authors = init.authors
  }

  /** Who leads, by the announcements. */
  get leader(): Announced | undefined {
    return this.running.filter(({ leads }) => leads > 0).sort((a, b) => b.leads - a.leads)[0]
  }

  /** The replicas that could serve a snapshot to another one: they follow the log, or still offer. */
  holdersBeside(id: string): Announced[] {
    return this.running.filter((one) => one.id !== id && (one.state === 'in-sync' || one.offers.length > 0))
  }

  lagOf({ applied }: Pick<Announced, 'applied'>): number {
    return Math.max(0, this.bounds.newest.index - applied)
  }

  /** Whether the log still has the entry that a replica needs next. */
  reaches({ applied }: Pick<Announced, 'applied'>): boolean {
    return this.bounds.first <= applied + 1
  }

  /** False if a replica announces which versions it speaks, and the group's is not among them. */
  speaks({ speaks }: Pick<Announced, 'speaks'>): boolean {
    const name = Buffer.from(signatureName(this.signature))
    return speaks === undefined || speaks.length === 0 || speaks.some((one) => name.equals(one))
  }
}

/** Best effort: a log that cannot be read names nobody. */
async function authorsIn(log: Log, { first, newest }: LogBounds, signal: AbortSignal): Promise<Author[]> {
  const found = new Map<string, Author>()
  const from = Math.max(first, newest.index - SEARCHED_ENTRIES + 1)
  const enough = AbortSignal.any([signal, AbortSignal.timeout(SEARCH_MS)])
  try {
    for await (const { entries } of log.read({ index: from - 1 }, { signal: enough })) {
      for (const { kind, payload, author: id, timestampMs: atMs } of entries) {
        if (kind !== 'control') continue
        const type = decodeControl(payload)?.type
        // Those are of any program that writes.
        if (type === undefined || type === 'guarded' || type === 'genesis') continue
        found.delete(id)
        found.set(id, { id, atMs })
      }
    }
  } catch {
    signal.throwIfAborted()
  }
  return [...found.values()]
}
