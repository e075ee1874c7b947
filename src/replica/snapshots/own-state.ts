import type { GroupState } from '../../group/group-state.ts'
import type { StateMachine } from '../../machine/machine.ts'
import { cut } from '../../snapshot/cut.ts'
import type { CutHistory } from '../../snapshot/cut-history.ts'
import { CutSnapshot } from '../../snapshot/cut-snapshot.ts'
import type { ChunkCoder, EncodedChunk } from '../../snapshot/encoding.ts'
import type { Manifest } from '../../snapshot/manifest.ts'
import type { Clock } from '../../time/clock.ts'

export interface OwnStateInit {
  readonly machine: Pick<StateMachine, 'capture'>
  readonly group: Pick<GroupState, 'encode' | 'signature'>
  readonly coder: ChunkCoder
  readonly chunkBytes: number
  readonly clock: Clock
  /** What this replica cut last. */
  readonly cuts: CutHistory
}

/** What a checkpoint of it is written from. */
export interface OwnCut {
  readonly manifest: Manifest
  readonly chunk: (index: number) => Promise<EncodedChunk>
  /** Call it once, when the checkpoint is written: the state is kept in memory until then. */
  release(): void
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
    const { machine, group, coder, chunkBytes, clock, cuts } = this.#init
    const snapshot = machine.capture(group.signature)
    const into = new CutSnapshot(coder)
    const options = { control: group.encode(), chunkBytes, clock, history: cuts, signal }
    try {
      const manifest = await cut(snapshot, into, options)
      return { manifest, chunk: (index) => into.chunk(index), release: () => void into.release() }
    } catch (error) {
      into.release()
      throw error
    }
  }
}
