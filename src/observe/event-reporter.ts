import type { Replica } from '../replica/replica.ts'
import type { SyncEvent } from '../sync/events.ts'
import {
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

/** Reports the events of a replica as plain data, in their order. */
export class EventReporter {
  readonly #report: (event: ProcessEvent) => void
  /** The newest event of each kind that is held back, by a key of that kind. */
  readonly #heldBack = new Map<string, ProcessEvent>()
  /** All that each peer was sent of each anchor so far. */
  readonly #served = new Map<string, { readonly chunks: number; readonly bytes: number }>()

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
        const { type, peer, anchor, bytes } = event
        const key = `${type} ${peer} ${anchor.index}`
        const before = this.#served.get(key) ?? { chunks: 0, bytes: 0 }
        const total = { chunks: before.chunks + 1, bytes: before.bytes + bytes }
        this.#served.set(key, total)
        return this.#soon(key, { type, peer, anchor, ...total })
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
