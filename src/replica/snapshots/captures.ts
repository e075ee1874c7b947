import { raceSignal } from 'race-signal'
import { checkInteger } from '../../bounds.ts'
import { sameBytes } from '../../bytes.ts'
import { writeCheckpoint } from '../../checkpoint/file.ts'
import type { Storage } from '../../checkpoint/storage.ts'
import type { GroupState } from '../../group/group-state.ts'
import { EpochChanged } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import type { SubmitOptions } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import type { Disk } from '../disk/disk.ts'
import { Diverged, NoDataDirectory } from '../errors.ts'
import { type Follower, isOfLog } from '../following/follower.ts'
import type { Positions } from '../following/positions.ts'
import type { Announcer } from '../membership/announcer.ts'
import type { Status } from '../status.ts'
import type { Anchors } from './anchors.ts'
import type { OwnState } from './own-state.ts'
import type { SealReader } from './seal-reader.ts'

export interface CapturesInit {
  readonly groupName: string
  readonly group: Pick<GroupState, 'signature' | 'signatureIn'>
  /** Where files are written. */
  readonly storage: Storage
  readonly log: Pick<Log, 'epoch' | 'bounds'>
  readonly status: Status
  readonly positions: Positions
  readonly follower: Pick<Follower, 'assertReadable'>
  readonly sync: Pick<SnapshotSync, 'requestAnchor' | 'hold'>
  readonly anchors: Pick<Anchors, 'root'>
  readonly seals: SealReader
  readonly ownState: OwnState
  /** Undefined without a data directory. */
  readonly disk: Pick<Disk, 'checkpointed'> | undefined
  readonly announcer: Pick<Announcer, 'told'>
}

/** Snapshots that the application asks for: an anchor, this replica's root there, a checkpoint, a file. */
export class Captures {
  readonly #init: CapturesInit

  constructor(init: CapturesInit) {
    this.#init = init
  }

  /** See `Replica.mark`. */
  async mark(options: SubmitOptions): Promise<Position> {
    const { log, positions, sync } = this.#init
    positions.assertAlive()
    const signal = positions.whileRunning(options.signal)
    return await positions.inTime('mark()', options, async () => {
      const { newest } = await log.bounds({ signal })
      return await sync.requestAnchor({ epoch: log.epoch, index: newest.index }, signal)
    })
  }

  /** See `Replica.rootAt`. */
  async rootAt(anchor: Position, options: SubmitOptions): Promise<Uint8Array> {
    const { positions, anchors } = this.#init
    await positions.reached(anchor, options)
    const root = anchors.root(anchor.index)
    if (root === undefined) throw new RangeError(`nothing was captured at ${anchor.index}`)
    return await positions.inTime('rootAt()', options, () => raceSignal(root, options.signal))
  }

  /** See `Replica.checkpointed`. */
  async checkpointed({ epoch, index }: Position, options: SubmitOptions): Promise<void> {
    const { log, positions, disk, announcer } = this.#init
    if (disk === undefined) throw new NoDataDirectory('checkpointed()')
    if (epoch !== log.epoch) throw new EpochChanged(epoch, log.epoch)
    checkInteger('position.index', index, 0)
    positions.assertAlive()
    await positions.inTime('checkpointed()', options, async () => {
      await disk.checkpointed(index, options.signal)
      // The leader prunes what it was told of. If it cannot be told now, the next announcement does.
      await raceSignal(
        announcer.told().catch(() => {}),
        options.signal,
      )
    })
  }

  /** See `Replica.exportTo`. */
  async exportTo(path: string, options: SubmitOptions): Promise<Position> {
    const { groupName, group, storage, status, positions, sync, seals } = this.#init
    const signal = positions.whileRunning(options.signal)
    if (status.state === 'halted' && isOfLog(status.failure)) return await this.#exportOwn(path, signal)
    const position = await this.mark({ signal })
    const own = await this.rootAt(position, { signal })
    const held = sync.hold(position)
    const manifest = held?.cut.manifest
    if (held === undefined || manifest === undefined) {
      throw new RangeError(`the snapshot of ${position.index} was released`)
    }
    try {
      const { root } = await seals.read(position, signal)
      if (!sameBytes(root, own)) throw new Diverged(position, own, root)
      const chunk = (index: number) => held.cut.chunk(index)
      const of = { group: groupName, signature: group.signatureIn(manifest.control) }
      await writeCheckpoint(path, storage, { ...of, position, sealed: true, manifest, chunk }, signal)
    } finally {
      held.release()
    }
    return position
  }

  /** The state that this replica has, on its word alone. */
  async #exportOwn(path: string, signal: AbortSignal): Promise<Position> {
    const { groupName, group, storage, positions, follower, ownState } = this.#init
    signal.throwIfAborted()
    follower.assertReadable()
    const position = positions.current
    const of = { group: groupName, signature: group.signature }
    const { release, ...state } = await ownState.cut(signal)
    try {
      await writeCheckpoint(path, storage, { ...of, position, sealed: false, ...state }, signal)
    } finally {
      release()
    }
    return position
  }
}
