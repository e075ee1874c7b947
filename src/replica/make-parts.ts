import { AnchorProgress } from '../group/anchor-progress.ts'
import { makeProcessName } from '../group/announcement.ts'
import { GroupState } from '../group/group-state.ts'
import { LEASE_MS_DEFAULT, Leadership } from '../group/leadership.ts'
import { Membership } from '../group/membership.ts'
import { Namesakes } from '../group/namesakes.ts'
import { Versions } from '../group/versions.ts'
import { systemRandom } from '../random.ts'
import { CHUNK_BYTES_DEFAULT } from '../snapshot/cut.ts'
import { CutHistory } from '../snapshot/cut-history.ts'
import { zstdCoder } from '../snapshot/encoding.ts'
import { HandshakeFailed } from '../sync/errors.ts'
import type { SyncEvent } from '../sync/events.ts'
import { syncTimes } from '../sync/limits.ts'
import { SnapshotSync } from '../sync/snapshot-sync.ts'
import { Disk } from './disk/disk.ts'
import { Applier } from './following/applier.ts'
import { Follower } from './following/follower.ts'
import { Outcomes } from './following/outcomes.ts'
import { Positions } from './following/positions.ts'
import { Submissions } from './following/submissions.ts'
import { type ReplicaInit, SNAPSHOT_AFTER_DEFAULT } from './init.ts'
import type { ReplicaInternals } from './internals.ts'
import { Announcer } from './membership/announcer.ts'
import { CatchUpWatch } from './membership/catch-up-watch.ts'
import { Holders } from './membership/holders.ts'
import { Orders } from './membership/orders.ts'
import { Pruner } from './membership/pruner.ts'
import { Ticks } from './membership/ticks.ts'
import { Upgrader } from './membership/upgrader.ts'
import type { Environment, ReplicaParts } from './parts.ts'
import { Anchors } from './snapshots/anchors.ts'
import { Captures } from './snapshots/captures.ts'
import { Divergences } from './snapshots/divergences.ts'
import { Installer } from './snapshots/installer.ts'
import { OwnState } from './snapshots/own-state.ts'
import { ReplicaHost } from './snapshots/replica-host.ts'
import { SealReader } from './snapshots/seal-reader.ts'

/** What several parts take. Which of these a part takes, its own init says. */
type Common<Result> = ReturnType<typeof commonOf<Result>>

function commonOf<Result>(
  init: ReplicaInit<Result>,
  environment: Environment,
  { processName, coder, format }: ReplicaInternals,
) {
  const { ttlMs, requestTimeoutMs, fetchTimeoutMs } = syncTimes(init)
  return {
    ...environment,
    stopping: environment.stopping.signal,
    self: environment.network.self,
    process: processName ?? makeProcessName(),
    epoch: environment.log.epoch,
    groupName: init.group,
    group: new GroupState({
      // A backend of an older release does not tell, and has compared it with the machine's.
      signature: environment.log.signature ?? init.machine.signature,
      versions: new Versions(init.machine, format),
    }),
    machine: init.machine,
    coder: coder ?? zstdCoder,
    cuts: new CutHistory(),
    random: init.random ?? systemRandom,
    chunkBytes: init.chunkBytes ?? CHUNK_BYTES_DEFAULT,
    leaseMs: init.leaseMs ?? LEASE_MS_DEFAULT,
    snapshotAfter: init.snapshotAfter ?? SNAPSHOT_AFTER_DEFAULT,
    volatile: init.volatile ?? false,
    ttlMs,
    requestTimeoutMs,
    fetchTimeoutMs,
    /** A group has as long to agree on an anchor as a session waits for it. */
    sealTimeoutMs: requestTimeoutMs,
  }
}

/** Make the parts, each after those that it is given. */
export async function makeParts<Result>(
  init: ReplicaInit<Result>,
  environment: Environment,
  internals: ReplicaInternals,
): Promise<ReplicaParts<Result>> {
  const common = commonOf(init, environment, internals)
  const { group, machine } = common
  const { log, data } = environment

  // The log, and who is in the group.
  const applier = new Applier(common)
  const positions = new Positions({ ...common, applier })
  const submissions = new Submissions({ ...common, applier, positions })
  const membership = new Membership({ ...common, graceMs: common.leaseMs })
  const holders = new Holders({ ...common, membership })
  const progress = new AnchorProgress(common)
  const namesakes = new Namesakes(common)
  const announcer = new Announcer({ ...common, applier, membership, namesakes })
  const leadership = new Leadership({ ...common, membership, lead: init.lead ?? true })

  // Snapshots: on this replica's disk, and of the other replicas.
  const ownState = new OwnState(common)
  const policy = init.checkpoint ?? {}
  const disk = data && (await Disk.open({ ...common, data, policy, applier, ownState, announcer }))
  const seals = new SealReader(log)
  const host = new ReplicaHost({ ...common, membership, progress, positions, announcer, seals })
  const sync = makeSync(init, common, { host, disk, announcer })
  const catchUpWatch = new CatchUpWatch({ ...common, sync, membership, announcer })
  const follower = new Follower({ ...common, applier, holders, sync, announcer, disk })

  // What comes of control entries and of installs.
  const divergences = new Divergences({ ...common, follower, sync })
  const anchors = new Anchors({ ...common, sync, disk, divergences })
  const pruner = new Pruner({ ...common, membership, progress, applier, disk, policy: init.prune })
  const installer = new Installer({ applier, group, pruner, anchors, disk, seals })
  host.installBy(installer)
  const upgrader = new Upgrader({ ...common, membership, applier, positions, policy: init.upgrade })
  host.serveBy(follower, new Orders({ pruner, upgrader }))
  const outcomes = new Outcomes({ ...common, leadership, announcer, anchors, pruner, upgrader, divergences })

  // What the application asks for, and what a leader does unasked.
  const captures = new Captures({
    ...common,
    positions,
    follower,
    sync,
    anchors,
    seals,
    ownState,
    disk,
    announcer,
  })
  const ticks = new Ticks({ ...common, applier })

  return {
    ...environment,
    groupName: common.groupName,
    machine,
    group,
    applier,
    positions,
    submissions,
    membership,
    holders,
    progress,
    namesakes,
    announcer,
    leadership,
    disk,
    sync,
    catchUpWatch,
    follower,
    anchors,
    pruner,
    installer,
    outcomes,
    captures,
    ticks,
    upgrader,
    running: [],
  }
}

function makeSync<Result>(
  { limits, authorize }: Pick<ReplicaInit<Result>, 'limits' | 'authorize'>,
  common: Common<Result>,
  { host, disk, announcer }: { host: ReplicaHost } & Pick<ReplicaParts<Result>, 'disk' | 'announcer'>,
): SnapshotSync {
  const { clock, random, coder, cuts, ttlMs, requestTimeoutMs, fetchTimeoutMs } = common
  const { network, status, reporter } = common
  const onEvent = (event: SyncEvent) => {
    if (event.type === 'session' && event.state.status === 'choosing') status.enter('catching-up')
    if (event.type === 'captured') disk?.captured(event.anchor)
    if (event.type === 'released') disk?.released(event.anchor, event.why)
    if (event.type === 'captured' || event.type === 'cut' || event.type === 'released') announcer.soon()
    // Waiting does not help: the operator has to compare the keys.
    if (event.type === 'fault' && event.error instanceof HandshakeFailed) reporter.problem(event.error)
    reporter.emit('sync', event)
  }
  return new SnapshotSync(
    {
      ...{ host, clock, random, coder, cuts, ttlMs, requestTimeoutMs, fetchTimeoutMs, onEvent },
      ...(disk && { store: disk.fetched }),
      ...(limits && { limits }),
      ...(authorize && { authorize }),
    },
    network,
  )
}
