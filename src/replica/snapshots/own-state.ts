import type { GroupState } from '../../group/group-state.ts'
import type { StateMachine } from '../../machine/machine.ts'
import { cut } from '../../snapshot/cut.ts'
import { CutSnapshot } from '../../snapshot/cut-snapshot.ts'
import type { ChunkCoder, EncodedChunk } from '../../snapshot/encoding.ts'
import type { Manifest } from '../../snapshot/manifest.ts'
import type { Clock } from '../../time/clock.ts'

export interface OwnStateInit {
  readonly machine: Pick<StateMachine, 'capture'>
  readonly group: Pick<GroupState, 'encode'>
  readonly coder: ChunkCoder
  readonly chunkBytes: number
  readonly clock: Clock
}

/** What a checkpoint of it is written from. */
export interface OwnCut {
  readonly manifest: Manifest
  readonly chunk: (index: number) => Promise<EncodedChunk>
}

/**
 * The state that this replica has, for a checkpoint where nobody else captures: the root is its word alone.
 */
export class OwnState {
  readonly #init: OwnStateInit

  constructor(init: OwnStateInit) {
    this.#init = init
  }

  /** Captured at once, and cut from then on. */
  async cut(signal: AbortSignal): Promise<OwnCut> {
    const { machine, group, coder, chunkBytes, clock } = this.#init
    const snapshot = machine.capture()
    try {
      const into = new CutSnapshot(coder)
      const control = group.encode()
      const manifest = await cut(snapshot, into, { control, chunkBytes, clock, signal })
      return { manifest, chunk: (index) => into.chunk(index) }
    } finally {
      snapshot.release()
    }
  }
}
