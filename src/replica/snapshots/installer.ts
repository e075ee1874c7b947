import type { GroupState } from '../../group/group-state.ts'
import type { Position } from '../../position.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import type { Disk } from '../disk/disk.ts'
import type { Applier } from '../following/applier.ts'
import type { Pruner } from '../membership/pruner.ts'
import type { Anchors } from './anchors.ts'
import type { SealReader } from './seal-reader.ts'

/** Where a snapshot comes from: the other replicas, or this one's own data directory. */
export type SnapshotSource = 'network' | 'disk'

export interface InstallerInit {
  readonly applier: Pick<Applier<unknown>, 'beginInstall'>
  readonly group: Pick<GroupState, 'installed'>
  readonly pruner: Pick<Pruner, 'covered'>
  readonly anchors: Pick<Anchors, 'replaced' | 'installed'>
  readonly disk: Pick<Disk, 'installed'> | undefined
  readonly seals: Pick<SealReader, 'markerOf'>
}

/** Replaces this replica's state by a snapshot, whole or not at all. */
export class Installer {
  readonly #init: InstallerInit

  constructor(init: InstallerInit) {
    this.#init = init
  }

  /**
   * Begin to build a new state. `signal` aborts when it is not wanted any more. `signature` resolves with the
   * version of the machine that it is of.
   */
  begin(
    source: SnapshotSource,
    signal: AbortSignal,
    signature: () => string | Promise<string>,
  ): StateBuilder {
    const building = this.#init.applier.beginInstall(signal, signature)
    return {
      add: (chunk, items) => building.add(chunk, items),
      finish: async () => await building.finish?.(),
      commit: (anchor, control) => {
        building.commit(anchor, control)
        this.#installed(source, anchor, control)
      },
    }
  }

  /**
   * The snapshot of an anchor is the state, and nothing was applied since: everything that follows from that,
   * in order.
   */
  #installed(source: SnapshotSource, anchor: Position, control: Uint8Array): void {
    const { group, pruner, anchors, disk, seals } = this.#init
    // 1. What became of this replica's own prunes below the anchor is not known.
    pruner.covered(anchor.index)
    // 2. The roots that it remembers are of the state that is gone.
    anchors.replaced()
    // A checkpoint of its own is on its disk already, and its offer is revived from there.
    if (source === 'disk') return
    // 3. The state is on no disk here: a checkpoint is due.
    disk?.installed(anchor)
    const marker = seals.markerOf(anchor.index)
    if (marker === undefined) return
    // 4. The attestations of the anchor, which come after it in the log, are counted.
    group.installed(anchor.index, marker.electorate)
    // 5. It is captured here as by the replicas that applied its marker, and offered.
    anchors.installed(anchor.index, control, marker.chunkBytes)
  }
}
