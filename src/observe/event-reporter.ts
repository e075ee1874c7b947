import type { Replica } from '../replica/replica.ts'
import type { SyncEvent } from '../sync/events.ts'
import {
  type ChunkEvent,
  checkpointSummary,
  type ProcessEvent,
  type ProcessEventDetails,
  type ProcessEventType,
  type SyncSummary,
  summary,
  syncSummary,
} from './events.ts'

/**
 * Events that come once for each chunk are reported at most this often, in milliseconds: 10,000 chunks would
 * be 10,000 reports.
 */
const BUSY_EVENTS_MS = 100

interface ChunkTotal {
  readonly chunks: number
  readonly bytes: number
}

/** Each member of a union, without what is added up. */
type WithoutTotal<Summary> = Summary extends unknown ? Omit<Summary, keyof ChunkTotal> : never

/** Reports the events of a replica as plain data, in their order. */
export class EventReporter {
  readonly #report: (event: ProcessEvent) => void
  /** The newest event of each kind that is held back, by a key of that kind. */
  readonly #heldBack = new Map<string, ProcessEvent>()
  /** All chunks so far that went the same way: to one peer, or from one, of one anchor. */
  readonly #totals = new Map<string, ChunkTotal>()

  constructor(replica: Pick<Replica, 'addEventListener'>, report: (event: ProcessEvent) => void) {
    this.#report = report
    replica.addEventListener('state', ({ detail: { reason, ...detail } }) =>
      this.#now('state', { ...detail, reason: reason && summary(reason) }),
    )
    replica.addEventListener('sync', ({ detail }) => this.#sync(detail))
    replica.addEventListener('skipped', ({ detail: { entry, why } }) =>
      this.#now('skipped', { index: entry.index, kind: entry.kind, why }),
    )
    replica.addEventListener('problem', ({ detail }) => this.#now('problem', summary(detail)))
    replica.addEventListener('checkpoint', ({ detail }) => this.#now('checkpoint', checkpointSummary(detail)))
    for (const type of PLAIN) replica.addEventListener(type, ({ detail }) => this.#now(type, detail))
  }

  /** Report what is being held back. */
  flush(): void {
    for (const event of this.#heldBack.values()) this.#report(event)
    this.#heldBack.clear()
  }

  #sync(event: SyncEvent): void {
    switch (event.type) {
      case 'served': {
        const { type, peer, anchor, catchUp } = event
        return this.#chunk(`${type} ${peer} ${anchor.index}`, event, { type, peer, anchor, catchUp })
      }
      case 'fetched': {
        const { type, peer, anchor, outcome, catchUp } = event
        const key = `${type} ${peer} ${anchor.index} ${outcome}`
        return this.#chunk(key, event, { type, peer, anchor, outcome, catchUp })
      }
      case 'recalled': {
        const { type, anchor, catchUp } = event
        return this.#chunk(`${type} ${anchor.index}`, event, { type, anchor, catchUp })
      }
      case 'revived':
        return this.#soon(`${event.type} ${event.anchor.index}`, syncSummary(event))
      case 'refused':
        return this.#soon(`${event.type} ${event.peer} ${event.error.name}`, syncSummary(event))
      case 'asked-again':
        return this.#soon(`${event.type} ${event.error.name}`, syncSummary(event))
      default:
        return this.#now('sync', syncSummary(event))
    }
  }

  #chunk(
    key: string,
    { bytes }: ChunkEvent,
    of: WithoutTotal<Extract<SyncSummary, { type: ChunkEvent['type'] }>>,
  ): void {
    const before = this.#totals.get(key) ?? { chunks: 0, bytes: 0 }
    const total = { chunks: before.chunks + 1, bytes: before.bytes + bytes }
    this.#totals.set(key, total)
    this.#soon(key, { ...of, ...total })
  }

  #now<Type extends ProcessEventType>(type: Type, detail: ProcessEventDetails[Type]): void {
    this.flush()
    this.#report(stamped(type, detail))
  }

  #soon(key: string, detail: SyncSummary): void {
    if (this.#heldBack.size === 0) setTimeout(() => this.flush(), BUSY_EVENTS_MS).unref()
    this.#heldBack.set(key, stamped('sync', detail))
  }
}

/** Events whose details are plain data already. */
const PLAIN = [
  'leader',
  'marked',
  'sealed',
  'caught-up',
  'log',
  'disputed',
  'divergence',
  'upgraded',
  'pruned',
] as const

function stamped<Type extends ProcessEventType>(type: Type, detail: ProcessEventDetails[Type]): ProcessEvent {
  const event = { type, detail, atMs: performance.timeOrigin + performance.now() }
  return event as ProcessEvent
}
