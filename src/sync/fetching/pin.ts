import type { Position } from '../../position.ts'
import type { SyncHost } from '../host.ts'

/** The anchor that this replica's announcement pins, and the peers it was announced to anew. */
export class Pin {
  readonly #host: Pick<SyncHost, 'pin'>
  readonly #introducedTo = new Set<string>()
  #anchor: Position | undefined
  #introducing: Promise<void> | undefined

  constructor(host: Pick<SyncHost, 'pin'>) {
    this.#host = host
  }

  /** Tell the group which anchor this replica needs; undefined: none any more. */
  async set(anchor: Position | undefined): Promise<void> {
    this.#anchor = anchor
    await this.#host.pin(anchor)
  }

  /**
   * A peer does not know this replica: announce it anew, which takes another call of the host's `pin`.
   * Undefined when that was done for this peer before.
   */
  introduce(peer: string): Promise<void> | undefined {
    if (this.#introducedTo.has(peer)) return undefined
    this.#introducedTo.add(peer)
    this.#introducing ??= this.#host
      .pin(this.#anchor)
      .catch(() => {})
      .finally(() => {
        this.#introducing = undefined
      })
    return this.#introducing
  }
}
