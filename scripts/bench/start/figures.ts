/** What a program of this benchmark prints, as one line of JSON. Times are in milliseconds. */
export interface StartFigures {
  readonly importMs: number
  /** Until `createReplica` resolves, or until a bare libp2p node listens. */
  readonly createMs: number
  /** From the start of the process until it is in sync with an empty group, or until a bare node listens. */
  readonly readyMs: number
  /** Resident, when it has been ready and idle for two seconds. */
  readonly idleBytes: number
}

/** How long a program is idle before its memory is read, in milliseconds. Node has then done what it put off. */
export const IDLE_MS = 2_000
