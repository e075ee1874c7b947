import type { ReplicaState } from '../../group/announcement.ts'
import type { CatchUpPhase } from '../../group/catch-up-progress.ts'
import type { Position } from '../../position.ts'

/** What happens in a group, as anyone can follow it who can read its log. Roots are bytes here, and hexadecimal in JSON. */
interface Details {
  /** A claim won: `member` leads from here on. */
  leader: { readonly leader: string; readonly term: number }
  /** The leader had all replicas capture. */
  marked: {
    readonly anchor: Position
    /** Who decides about the root. */
    readonly electorate: readonly string[]
    readonly requesters: readonly string[]
  }
  /** `member` says which root its state has there. */
  attested: { readonly anchor: Position; readonly root: Uint8Array }
  /** A root has the majority. */
  sealed: { readonly anchor: Position; readonly root: Uint8Array }
  /** No root can get the majority any more. */
  disputed: { readonly anchor: Position; readonly roots: ReadonlyMap<string, Uint8Array> }
  /** An elector attested another root than the sealed one. */
  divergence: {
    readonly anchor: Position
    readonly replica: string
    readonly root: Uint8Array
    readonly sealed: Uint8Array
  }
  /** The leader decided to prune. It stops before what was pinned meanwhile. */
  prune: { readonly upTo: number }
  upgraded: {
    readonly position: Position
    readonly format: number
    readonly from: string
    readonly to: string
  }
  /** The log begins with a snapshot. */
  genesis: {
    readonly root: Uint8Array
    readonly format: number
    readonly signature: string
    readonly source: { readonly group: string; readonly epoch: string; readonly index: number }
  }
  /** A control entry that did nothing. */
  void: { readonly why: string }
  /** It was a member when the following began. */
  present: MemberDetail
  joined: MemberDetail
  state: { readonly state: ReplicaState; readonly from: ReplicaState; readonly position: number }
  /** It took its leave. */
  left: { readonly state: ReplicaState }
  /** Its announcement expired: it was killed, or is cut off. */
  silent: { readonly state: ReplicaState; readonly announcedMsAgo: number }
  'catch-up-began': CatchUpDetail
  /** It is in another phase, or a quarter further. */
  'catch-up': CatchUpDetail
  /** `state` is the replica's then: `in-sync` if it came in. Null: it is gone. */
  'catch-up-ended': { readonly id: string; readonly anchor: number; readonly state: ReplicaState | null }
}

interface MemberDetail {
  readonly state: ReplicaState
  readonly position: number
  readonly addresses: readonly string[]
}

interface CatchUpDetail {
  /** The same in the logs of joiner, leader and providers. */
  readonly id: string
  readonly phase: CatchUpPhase
  /** 0: there is none yet. */
  readonly anchor: number
  readonly chunks: number
  readonly chunksTotal: number
  readonly bytes: number
  readonly bytesTotal: number
  readonly elapsedMs: number
  readonly providers: number
}

export type GroupEventType = keyof Details

export type GroupEvent<Type extends GroupEventType = GroupEventType> = {
  [T in Type]: {
    readonly event: T
    /** By the clock of the log for its entries, and by this machine's for members; in milliseconds since 1970. */
    readonly atMs: number
    /** The entry of the log; null for what members announce. */
    readonly index: number | null
    /** The PeerId of the replica that did it, or that it happened to. */
    readonly member: string | null
    readonly detail: Details[T]
  }
}[Type]

/** Those that the log holds, and those that members announce. */
export const LOG_EVENTS = [
  'leader',
  'marked',
  'attested',
  'sealed',
  'disputed',
  'divergence',
  'prune',
  'upgraded',
  'genesis',
  'void',
] as const satisfies readonly GroupEventType[]

export const MEMBER_EVENTS = [
  'present',
  'joined',
  'state',
  'left',
  'silent',
  'catch-up-began',
  'catch-up',
  'catch-up-ended',
] as const satisfies readonly GroupEventType[]

export const EVENT_TYPES: readonly GroupEventType[] = [...LOG_EVENTS, ...MEMBER_EVENTS]
