import type { ReplicaEvent, ReplicaEvents } from '../replica/events.ts'
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

/** Sums that are kept: one for each peer and anchor. Of more, those are forgotten that grew longest ago. */
const TOTALS_MAX = 1_024

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

  constructor(report: (event: ProcessEvent) => void) {
    this.#report = report
  }

  /** Report what a replica's listeners are told. Then the replica itself warns of none of it: see `Warnings`. */
  static listening(
    replica: Pick<Replica, 'addEventListener'>,
    report: (event: ProcessEvent) => void,
  ): EventReporter {
    const reporter = new EventReporter(report)
    for (const type of EVENT_TYPES)
      replica.addEventListener(type, ({ detail }) => reporter.happened({ type, detail } as ReplicaEvent))
    return reporter
  }

  /** An event of the replica. */
  happened({ type, detail }: ReplicaEvent): void {
    switch (type) {
      case 'state':
        return this.#now(type, { ...detail, reason: detail.reason && summary(detail.reason) })
      case 'sync':
        return this.#sync(detail)
      case 'skipped': {
        const { entry, why } = detail
        return this.#now(type, { index: entry.index, kind: entry.kind, why })
      }
      case 'problem':
        return this.#now(type, summary(detail))
      case 'checkpoint':
        return this.#now(type, checkpointSummary(detail))
      default:
        return this.#now(type, detail as never)
    }
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
    // The newest last, so that the ones which nothing is added to any more are forgotten first.
    this.#totals.delete(key)
    this.#totals.set(key, total)
    for (const oldest of this.#totals.keys()) {
      if (this.#totals.size <= TOTALS_MAX) break
      this.#totals.delete(oldest)
    }
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

const EVENT_TYPES = [
  'state',
  'leader',
  'sync',
  'marked',
  'sealed',
  'caught-up',
  'log',
  'disputed',
  'divergence',
  'upgraded',
  'pruned',
  'checkpoint',
  'skipped',
  'problem',
] as const satisfies readonly (keyof ReplicaEvents)[]

function stamped<Type extends ProcessEventType>(type: Type, detail: ProcessEventDetails[Type]): ProcessEvent {
  // The wall clock, as in the logs, also after it was set or the machine slept. Events of one process have their order.
  return { type, detail, atMs: Date.now() } as ProcessEvent
}
