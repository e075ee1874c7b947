import type { CheckpointEvent } from '../checkpoint/store.ts'
import type { Position } from '../position.ts'
import type { CatchUpReport, ReplicaEvents, StateChange } from '../replica/events.ts'
import type { Replica } from '../replica/replica.ts'
import { totalBytes, totalItems } from '../snapshot/manifest.ts'
import type { SessionState } from '../sync/fetching/session.ts'
import type { SyncEvent } from '../sync/snapshot-sync.ts'

/** What remains of an error in an event. */
export interface ErrorSummary {
  readonly name: string
  readonly message: string
}

/** A `SyncEvent` without its bulk. */
export type SyncSummary =
  | Extract<SyncEvent, { type: 'captured' | 'adopted' | 'released' | 'freed' }>
  /** The newest revival; there is at most one of these for an anchor every 100 ms. */
  | Extract<SyncEvent, { type: 'revived' }>
  | {
      readonly type: 'cut'
      readonly anchor: Position
      /** In hexadecimal. */
      readonly root: string
      readonly chunks: number
      readonly items: number
      readonly bytes: number
      readonly tookMs: number
    }
  /** All that this peer was sent of this anchor so far; at most one of these every 100 ms. */
  | {
      readonly type: 'served'
      readonly peer: string
      readonly anchor: Position
      readonly chunks: number
      readonly bytes: number
    }
  | Extract<SyncEvent, { type: 'ignored' }>
  /** The newest of this error's name that this peer was told; there is at most one of these every 100 ms. */
  | { readonly type: 'refused'; readonly peer: string; readonly error: ErrorSummary }
  | { readonly type: 'broken'; readonly peer: string; readonly error: ErrorSummary }
  /** The newest of this error's name; there is at most one of these every 100 ms. */
  | { readonly type: 'asked-again'; readonly error: ErrorSummary; readonly retryMs: number }
  | { readonly type: 'session'; readonly state: SessionSummary }
  | { readonly type: 'fault'; readonly peer: string; readonly error: ErrorSummary }
  | { readonly type: 'anchor-lost'; readonly error: ErrorSummary }

export type SessionSummary =
  | Exclude<SessionState, { status: 'failed' }>
  | { readonly status: 'failed'; readonly reason: ErrorSummary }

export type CheckpointSummary =
  | Exclude<CheckpointEvent, { type: 'skipped' }>
  | { readonly type: 'skipped'; readonly path: string; readonly reason: ErrorSummary }

interface Details {
  state: Omit<StateChange, 'reason'> & { readonly reason: ErrorSummary | undefined }
  leader: ReplicaEvents['leader']['detail']
  sync: SyncSummary
  sealed: ReplicaEvents['sealed']['detail']
  'caught-up': CatchUpReport
  log: ReplicaEvents['log']['detail']
  disputed: ReplicaEvents['disputed']['detail']
  divergence: ReplicaEvents['divergence']['detail']
  pruned: ReplicaEvents['pruned']['detail']
  checkpoint: CheckpointSummary
  skipped: { readonly index: number; readonly kind: string; readonly why: string }
  problem: ErrorSummary
}

export type ProcessEventType = keyof Details

/** An event of a replica in another process: see `ReplicaEvents`. */
export type ProcessEvent<Type extends ProcessEventType = ProcessEventType> = {
  [T in Type]: {
    readonly type: T
    readonly detail: Details[T]
    /** When it happened, in milliseconds since 1970. Comparable between the processes of one machine. */
    readonly atMs: number
  }
}[Type]

type Happened = {
  [T in ProcessEventType]: { readonly type: T; readonly detail: Details[T] }
}[ProcessEventType]

/** What comes once for each chunk is reported at most this often. */
const BUSY_EVENTS_MS = 100

/** Report the events of a replica, in order and made light. Returns a function that reports what is being held back. */
export function reportEvents<Result>(
  replica: Replica<Result>,
  report: (event: ProcessEvent) => void,
): () => void {
  const busy = new Map<string, ProcessEvent>()
  const served = new Map<string, { chunks: number; bytes: number }>()

  const flush = () => {
    for (const event of busy.values()) report(event)
    busy.clear()
  }
  const stamped = (happened: Happened): ProcessEvent => ({
    ...happened,
    atMs: performance.timeOrigin + performance.now(),
  })
  const now = (happened: Happened) => {
    flush()
    report(stamped(happened))
  }
  const soon = (key: string, happened: Happened) => {
    if (busy.size === 0) setTimeout(flush, BUSY_EVENTS_MS).unref()
    busy.set(key, stamped(happened))
  }

  replica.addEventListener('state', ({ detail: { reason, ...detail } }) =>
    now({ type: 'state', detail: { ...detail, reason: reason && summary(reason) } }),
  )
  replica.addEventListener('sync', ({ detail }) => {
    switch (detail.type) {
      case 'served': {
        const { type, peer, anchor, bytes } = detail
        const key = `${type} ${peer} ${anchor.index}`
        const total = served.get(key) ?? { chunks: 0, bytes: 0 }
        served.set(key, { chunks: total.chunks + 1, bytes: total.bytes + bytes })
        return soon(key, { type: 'sync', detail: { type, peer, anchor, ...served.get(key)! } })
      }
      case 'revived':
        return soon(`${detail.type} ${detail.anchor.index}`, { type: 'sync', detail })
      case 'cut': {
        const { type, anchor, manifest, tookMs } = detail
        const root = Buffer.from(manifest.root).toString('hex')
        const sizes = {
          chunks: manifest.chunks.length,
          items: totalItems(manifest),
          bytes: totalBytes(manifest),
        }
        return now({ type: 'sync', detail: { type, anchor, root, ...sizes, tookMs } })
      }
      case 'session': {
        const { type, state } = detail
        const plain = state.status === 'failed' ? { ...state, reason: summary(state.reason) } : state
        return now({ type: 'sync', detail: { type, state: plain } })
      }
      case 'broken':
      case 'fault': {
        const { type, peer, error } = detail
        return now({ type: 'sync', detail: { type, peer, error: summary(error) } })
      }
      case 'anchor-lost':
        return now({ type: 'sync', detail: { type: detail.type, error: summary(detail.error) } })
      case 'refused': {
        const { type, peer } = detail
        const error = summary(detail.error)
        return soon(`${type} ${peer} ${error.name}`, { type: 'sync', detail: { type, peer, error } })
      }
      case 'asked-again': {
        const { type, retryMs } = detail
        const error = summary(detail.error)
        return soon(`${type} ${error.name}`, { type: 'sync', detail: { type, error, retryMs } })
      }
      case 'ignored':
      case 'captured':
      case 'adopted':
      case 'released':
      case 'freed':
        return now({ type: 'sync', detail })
      default:
        return detail satisfies never
    }
  })
  replica.addEventListener('skipped', ({ detail: { entry, why } }) =>
    now({ type: 'skipped', detail: { index: entry.index, kind: entry.kind, why } }),
  )
  replica.addEventListener('problem', ({ detail }) => now({ type: 'problem', detail: summary(detail) }))
  replica.addEventListener('leader', ({ detail }) => now({ type: 'leader', detail }))
  replica.addEventListener('sealed', ({ detail }) => now({ type: 'sealed', detail }))
  replica.addEventListener('caught-up', ({ detail }) => now({ type: 'caught-up', detail }))
  replica.addEventListener('log', ({ detail }) => now({ type: 'log', detail }))
  replica.addEventListener('disputed', ({ detail }) => now({ type: 'disputed', detail }))
  replica.addEventListener('divergence', ({ detail }) => now({ type: 'divergence', detail }))
  replica.addEventListener('checkpoint', ({ detail }) => {
    const plain = detail.type === 'skipped' ? { ...detail, reason: summary(detail.reason) } : detail
    now({ type: 'checkpoint', detail: plain })
  })
  replica.addEventListener('pruned', ({ detail }) => now({ type: 'pruned', detail }))
  return flush
}

function summary({ name, message }: Error): ErrorSummary {
  return { name, message }
}
