/** Ends the process of a replica, and starts it again. */
const LIFE_FAULTS = ['kill', 'stop'] as const
/** Ends the process of a replica, and does something to its data directory before it starts again. */
const DISK_FAULTS = ['wipe', 'corrupt', 'old-copy', 'full-disk'] as const

export const FAULT_KINDS = [
  ...LIFE_FAULTS,
  ...DISK_FAULTS,
  /** Stops the process where it is (SIGSTOP) for a while. */
  'pause',
  /** Kills all replicas at once. */
  'kill-all',
  /** A replica without a disk joins for a while. */
  'join',
  /** Something else holds the lock of the SQLite file. */
  'lock-log',
  'kill-server',
  'pause-server',
  'kill-all-servers',
  /** Kills PostgreSQL's primary and makes its standby the primary. The old one comes back as the standby. */
  'promote-server',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]
export type DiskFault = (typeof DISK_FAULTS)[number]

/** One trouble of a round. */
export interface Fault {
  readonly kind: FaultKind
  /** The number of the replica or server, from 0. Of a joiner, it only names it. */
  readonly target: number
  /** When it begins, in milliseconds after the round began. */
  readonly atMs: number
  /** How long it lasts, in milliseconds: how long a process is down, or a disk full. */
  readonly forMs: number
  /** From 0 up to 1: which file is damaged, and where in it. */
  readonly where: number
}

export function isDiskFault(kind: FaultKind): kind is DiskFault {
  return DISK_FAULTS.some((one) => one === kind)
}

/** Whether the fault ends the life of the replica that it is aimed at. */
export function endsLife(kind: FaultKind): boolean {
  return isDiskFault(kind) || LIFE_FAULTS.some((one) => one === kind)
}
