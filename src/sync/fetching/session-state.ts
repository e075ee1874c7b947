import type { Position } from '../../position.ts'
import type { AnchorGone } from '../errors.ts'
import type { FetchedChunk } from './chunks/chunk-requests.ts'
import type { FetchProgress } from './chunks/fetch.ts'
import type { Edges } from './transitions.ts'

/** Where a session stands. The replay of the log from anchor + 1 is the host's, when the session is done. */
export type SessionState =
  | { readonly status: 'requesting' }
  | { readonly status: 'choosing'; readonly anchor: Position }
  | ({ readonly status: 'fetching'; readonly anchor: Position } & FetchProgress)
  /**
   * The group has not sealed the root yet, and every chunk is there, or the providers of the rest have left.
   */
  | { readonly status: 'verifying'; readonly anchor: Position }
  | { readonly status: 'installing'; readonly anchor: Position }
  | ({ readonly status: 'done' } & CaughtUp)
  | { readonly status: 'failed'; readonly reason: Error }

/** What is told of a session, and which catch-up it is: see `CaughtUp`. */
export type SessionEvent = SessionNews & { readonly catchUp: string }

/** What happened in a session. */
export type SessionNews =
  /** The session moved on. */
  | { readonly type: 'session'; readonly state: SessionState }
  /** A peer sent a chunk, or what this replica lacked of one. */
  | ({ readonly type: 'fetched'; readonly anchor: Position } & FetchedChunk)
  /** A chunk was here already: of an earlier fetch, or of the state that this replica has. */
  | { readonly type: 'recalled'; readonly anchor: Position; readonly index: number; readonly bytes: number }
  /** A peer failed the session, or sent what no honest replica sends; the session asks others. */
  | { readonly type: 'fault'; readonly peer: string; readonly error: Error }
  /** The session's anchor is gone; it goes on with another. */
  | { readonly type: 'anchor-lost'; readonly error: AnchorGone }

/** What one session did. */
export interface CaughtUp {
  /**
   * Names this catch-up in the logs of this replica, of the leader and of the providers: 16 hexadecimal digits.
   */
  readonly catchUp: string
  /** The position of the snapshot that was installed. */
  readonly anchor: Position
  /** The PeerIds of those that sent a chunk that was taken. */
  readonly providersUsed: readonly string[]
  /** Chunk bytes received, as encoded for the way, including any that had to be fetched again. */
  readonly bytesFetched: number
  /** Anchors that were chosen and had gone before they were installed. */
  readonly anchorsLost: number
  /** How long each part took, in milliseconds. */
  readonly phasesMs: SessionPhases
}

/** How long each part took, in milliseconds. */
export interface SessionPhases {
  /** Until the leader named the anchor. */
  request: number
  /** From there until the first chunk could be asked for: capturing, cutting and offering. */
  cut: number
  /** From there until the last chunk was checked, and the root sealed. The new state is built meanwhile. */
  fetch: number
  /** From there until the new state was built, and in place. */
  install: number
}

/**
 * The steps of a session:
 *
 *     new -> requesting -> choosing -> fetching <-> verifying -> installing -> done
 *
 *     choosing -> verifying      the first provider left before it sent a chunk
 *     choosing -> installing     the sealed state is empty
 *     fetching -> fetching       one more chunk
 *     fetching -> installing     the root was sealed before the last chunk came
 *
 *     choosing, fetching, verifying, installing -> lost -> requesting     the anchor is gone: another one
 *     everything but done -> failed
 */
export const SESSION_EDGES: Edges<SessionState['status'] | 'new' | 'lost'> = {
  new: ['requesting', 'failed'],
  requesting: ['choosing', 'failed'],
  choosing: ['fetching', 'verifying', 'installing', 'lost', 'failed'],
  fetching: ['fetching', 'verifying', 'installing', 'lost', 'failed'],
  verifying: ['fetching', 'installing', 'lost', 'failed'],
  installing: ['done', 'lost', 'failed'],
  lost: ['requesting', 'failed'],
  done: [],
  failed: [],
}
