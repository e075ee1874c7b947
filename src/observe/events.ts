import type { CheckpointEvent } from '../checkpoint/store.ts'
import type { Position } from '../position.ts'
import type { CatchUpReport, ReplicaEvents, StateChange } from '../replica/events.ts'
import { totalBytes, totalItems } from '../snapshot/manifest.ts'
import type { SyncEvent } from '../sync/events.ts'
import type { ChunkOutcome } from '../sync/fetching/chunks/chunk-requests.ts'
import type { SessionState } from '../sync/fetching/session-state.ts'

/** What a replica's events say, as plain data: for people, for JSON, and for another process. */

/** An error as an event tells it. */
export interface ErrorSummary {
  readonly name: string
  readonly message: string
}

/** Which catch-up an event is of, or the newest of them. Undefined: of none, or of a peer that does not tell. */
export interface OfCatchUp {
  /** The same at the joiner, the leader and the providers: 16 hexadecimal digits. */
  readonly catchUp?: string | undefined
}

/** A `SyncEvent` without its bulk. */
export type SyncSummary =
  | Extract<SyncEvent, { type: 'captured' | 'adopted' | 'released' | 'freed' }>
  /** The newest revival; there is at most one of these for an anchor every 100 ms. */
  | Extract<SyncEvent, { type: 'revived' | 'named' }>
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
  | (OfCatchUp & {
      readonly type: 'served'
      readonly peer: string
      readonly anchor: Position
      readonly chunks: number
      readonly bytes: number
    })
  /** All chunks so far that this peer sent of this anchor, and that came to this; at most one every 100 ms. */
  | (OfCatchUp & {
      readonly type: 'fetched'
      readonly peer: string
      readonly anchor: Position
      readonly outcome: ChunkOutcome
      readonly chunks: number
      readonly bytes: number
    })
  /** All chunks so far of this anchor that were here already; at most one of these every 100 ms. */
  | (OfCatchUp & {
      readonly type: 'recalled'
      readonly anchor: Position
      readonly chunks: number
      readonly bytes: number
    })
  | Extract<SyncEvent, { type: 'ignored' }>
  /** The newest of this error's name that this peer was told; there is at most one of these every 100 ms. */
  | ({ readonly type: 'refused'; readonly peer: string; readonly error: ErrorSummary } & OfCatchUp)
  | { readonly type: 'broken'; readonly peer: string; readonly error: ErrorSummary }
  /** The newest of this error's name; there is at most one of these every 100 ms. */
  | { readonly type: 'asked-again'; readonly error: ErrorSummary; readonly retryMs: number }
  | ({ readonly type: 'session'; readonly state: SessionSummary } & OfCatchUp)
  | ({ readonly type: 'fault'; readonly peer: string; readonly error: ErrorSummary } & OfCatchUp)
  | ({ readonly type: 'anchor-lost'; readonly error: ErrorSummary } & OfCatchUp)

/** A `SessionState` as plain data. */
export type SessionSummary =
  | Exclude<SessionState, { status: 'failed' }>
  | { readonly status: 'failed'; readonly reason: ErrorSummary }

export type CheckpointSummary =
  | Exclude<CheckpointEvent, { type: 'skipped' }>
  | { readonly type: 'skipped'; readonly path: string; readonly reason: ErrorSummary }

export interface ProcessEventDetails {
  state: Omit<StateChange, 'reason'> & { readonly reason: ErrorSummary | undefined }
  leader: ReplicaEvents['leader']['detail']
  sync: SyncSummary
  marked: ReplicaEvents['marked']['detail']
  sealed: ReplicaEvents['sealed']['detail']
  'caught-up': CatchUpReport
  log: ReplicaEvents['log']['detail']
  disputed: ReplicaEvents['disputed']['detail']
  divergence: ReplicaEvents['divergence']['detail']
  upgraded: ReplicaEvents['upgraded']['detail']
  pruned: ReplicaEvents['pruned']['detail']
  checkpoint: CheckpointSummary
  skipped: { readonly index: number; readonly kind: string; readonly why: string }
  problem: ErrorSummary
}

/** The types of the events of a replica in another process. */
export type ProcessEventType = keyof ProcessEventDetails

/** An event of a replica in another process: see `ReplicaEvents`. */
export type ProcessEvent<Type extends ProcessEventType = ProcessEventType> = {
  [T in Type]: {
    readonly type: T
    readonly detail: ProcessEventDetails[T]
    /** When it happened, in whole milliseconds since 1970, by the wall clock, which may be set back meanwhile. */
    readonly atMs: number
  }
}[Type]

/** An event that comes for each chunk. */
export type ChunkEvent = Extract<SyncEvent, { type: 'served' | 'fetched' | 'recalled' }>

/** A `SyncEvent` without its bulk. What comes for each chunk is added up by the reporter. */
export function syncSummary(event: Exclude<SyncEvent, ChunkEvent>): SyncSummary {
  switch (event.type) {
    case 'cut': {
      const { type, anchor, manifest, tookMs } = event
      return {
        type,
        anchor,
        root: Buffer.from(manifest.root).toString('hex'),
        chunks: manifest.chunks.length,
        items: totalItems(manifest),
        bytes: totalBytes(manifest),
        tookMs,
      }
    }
    case 'session': {
      const { type, state, catchUp } = event
      const told = state.status === 'failed' ? { ...state, reason: summary(state.reason) } : state
      return { type, state: told, catchUp }
    }
    case 'broken': {
      const { type, peer, error } = event
      return { type, peer, error: summary(error) }
    }
    case 'fault':
    case 'refused': {
      const { type, peer, error, catchUp } = event
      return { type, peer, error: summary(error), catchUp }
    }
    case 'anchor-lost':
      return { type: event.type, error: summary(event.error), catchUp: event.catchUp }
    case 'asked-again':
      return { type: event.type, error: summary(event.error), retryMs: event.retryMs }
    case 'revived':
    case 'named':
    case 'ignored':
    case 'captured':
    case 'adopted':
    case 'released':
    case 'freed':
      return event
    default:
      return event satisfies never
  }
}

export function checkpointSummary(event: CheckpointEvent): CheckpointSummary {
  return event.type === 'skipped' ? { ...event, reason: summary(event.reason) } : event
}

export function summary({ name, message }: Error): ErrorSummary {
  return { name, message }
}
