import { type CarriedState, decodeGroupState } from '../../group/carried-state.ts'
import type { Installation, StateMachine } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'
import { itemsOf } from '../../snapshot/chunk.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import type { Clock } from '../../time/clock.ts'
import { Yielder } from '../../time/yielder.ts'
import { InstallFailed } from '../errors.ts'

/** Items between two looks at the clock, so that a look costs little beside them. */
const ITEMS_PER_LOOK = 256

export interface InstallingInit {
  readonly machine: Pick<StateMachine, 'install'>
  readonly clock: Clock
  /** Resolves with the version of the machine that the snapshot is of. */
  readonly signature: () => string | Promise<string>
  /** Aborts when the new state is not wanted any more. */
  readonly signal: AbortSignal
  /**
   * The snapshot is to be the state, at once: all of it changes in this call, or nothing does.
   * @param commit has the machine take the new state
   */
  readonly onCommit: (to: CarriedTo, commit: (note?: Uint8Array) => void) => void
}

/** The anchor, and the group's state that the snapshot carries. */
export interface CarriedTo {
  readonly anchor: Position
  readonly control: Uint8Array
  readonly carried: CarriedState
}

/** A new state, built beside the current one, in slices. Nothing changes before `commit`. */
export class Installing implements StateBuilder {
  readonly #init: InstallingInit
  readonly #yielder: Yielder
  #installation: Installation | undefined

  constructor(init: InstallingInit) {
    this.#init = init
    this.#yielder = new Yielder(init.clock, 'install')
    init.signal.addEventListener('abort', () => this.#installation?.abandon?.(), { once: true })
  }

  async add(chunk: Uint8Array, count: number): Promise<void> {
    const installation = await this.#begun()
    this.#yielder.resume()
    const items = itemsOf(chunk, count)
    for (let from = 0; from < items.length; from += ITEMS_PER_LOOK) {
      orInstallFailed(() => installation.add(items.run(from, ITEMS_PER_LOOK)))
      if (this.#yielder.due()) {
        await this.#yielder.rest()
        this.#init.signal.throwIfAborted()
      }
    }
    this.#yielder.pause()
  }

  async finish(): Promise<void> {
    const { signal } = this.#init
    const installation = await this.#begun()
    try {
      await installation.finish?.()
    } catch (cause) {
      throw new InstallFailed(cause)
    }
    signal.throwIfAborted()
  }

  commit(anchor: Position, control: Uint8Array): void {
    const { signal, onCommit } = this.#init
    signal.throwIfAborted()
    const installation = this.#installation
    if (installation === undefined) throw new Error('a new state is committed before it is finished')
    // Decode first, since that may fail: the machine and the group's state change together, or not at all.
    const carried = decodeGroupState(control)
    onCommit({ anchor, control, carried }, (note) => orInstallFailed(() => installation.commit(note)))
  }

  async #begun(): Promise<Installation> {
    const { machine, signature, signal } = this.#init
    signal.throwIfAborted()
    if (this.#installation !== undefined) return this.#installation
    const version = await signature()
    signal.throwIfAborted()
    this.#installation = orInstallFailed(() => machine.install(version))
    return this.#installation
  }
}

export function orInstallFailed<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new InstallFailed(cause)
  }
}
