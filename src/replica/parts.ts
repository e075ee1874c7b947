import type { DataDirectory } from '../checkpoint/data-directory.ts'
import type { Storage } from '../checkpoint/storage.ts'
import type { AnchorProgress } from '../group/anchor-progress.ts'
import type { GroupState } from '../group/group-state.ts'
import type { Leadership } from '../group/leadership.ts'
import type { Membership } from '../group/membership.ts'
import type { Namesakes } from '../group/namesakes.ts'
import type { Log } from '../log/log.ts'
import type { StateMachine } from '../machine/machine.ts'
import type { SnapshotSync } from '../sync/snapshot-sync.ts'
import type { Clock } from '../time/clock.ts'
import type { Disk } from './disk/disk.ts'
import type { KeptState } from './disk/kept-state.ts'
import type { Applier } from './following/applier.ts'
import type { Follower } from './following/follower.ts'
import type { Outcomes } from './following/outcomes.ts'
import type { Positions } from './following/positions.ts'
import type { Submissions } from './following/submissions.ts'
import type { Announcer } from './membership/announcer.ts'
import type { CatchUpWatch } from './membership/catch-up-watch.ts'
import type { Holders } from './membership/holders.ts'
import type { Pruner } from './membership/pruner.ts'
import type { Ticks } from './membership/ticks.ts'
import type { Upgrader } from './membership/upgrader.ts'
import type { ReplicaNetwork } from './node/network.ts'
import type { Reporter } from './reporter.ts'
import type { Anchors } from './snapshots/anchors.ts'
import type { Captures } from './snapshots/captures.ts'
import type { Installer } from './snapshots/installer.ts'
import type { Status } from './status.ts'

/** What a replica stands on: opened before its parts are made, and closed after they have ended. */
export interface Environment {
  readonly clock: Clock
  readonly storage: Storage
  readonly network: ReplicaNetwork
  readonly log: Log
  /** Undefined: the state is in memory only. */
  readonly data: DataDirectory | undefined
  /** What the machine keeps by itself; undefined for a machine that is in memory. */
  readonly kept: KeptState | undefined
  /** Aborts when the replica stops. */
  readonly stopping: AbortController
  readonly status: Status
  readonly reporter: Reporter
}

/**
 * The parts of one replica. `start.ts` makes them and ties them, `stop.ts` ends them, and the public
 * `Replica` asks them.
 */
export interface ReplicaParts<Result> extends Environment {
  readonly groupName: string
  readonly machine: StateMachine<Result>
  readonly group: GroupState
  readonly applier: Applier<Result>
  readonly positions: Positions
  readonly submissions: Submissions<Result>
  readonly membership: Membership
  readonly progress: AnchorProgress
  readonly holders: Holders
  readonly namesakes: Namesakes
  readonly announcer: Announcer
  readonly leadership: Leadership
  readonly disk: Disk | undefined
  readonly sync: SnapshotSync
  readonly catchUpWatch: CatchUpWatch
  readonly follower: Follower
  readonly anchors: Anchors
  readonly pruner: Pruner
  readonly installer: Installer
  readonly outcomes: Outcomes
  readonly captures: Captures
  readonly ticks: Ticks
  readonly upgrader: Upgrader
  /** What runs until the replica stops. */
  readonly running: Promise<void>[]
}
