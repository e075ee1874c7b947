import type { ServeStream } from '../../../sync/libp2p.ts'
import type { ByteStream } from '../../../sync/wire/frames.ts'
import type { Life } from '../life.ts'

/** What the endpoints of a network have done for them. */
export interface Switch {
  /** `addresses` tells two processes of one identity apart. Without it, the newest is dialled. */
  dial(
    from: SimulatedEndpoint,
    peer: string,
    signal: AbortSignal,
    addresses?: readonly string[],
  ): Promise<ByteStream>
  /** The process may be dialled from now on. */
  opened(endpoint: SimulatedEndpoint): void
  /** It may not be dialled any more, and its streams end. */
  left(endpoint: SimulatedEndpoint): void
}

/** One process in the network, as an identity. It dials and serves raw streams. */
export class SimulatedEndpoint {
  /** Its PeerId, as text. */
  readonly self: string
  readonly node: string
  readonly life: Life
  readonly #switch: Switch
  #serve: ServeStream | undefined
  #hasLeft = false

  constructor(init: { readonly life: Life; readonly peer: string; readonly node: string }, by: Switch) {
    this.self = init.peer
    this.node = init.node
    this.life = init.life
    this.#switch = by
    init.life.onDeath(() => this.#leave())
  }

  get address(): string {
    return `/sim/${this.node}`
  }

  /**
   * Open a stream to a peer. Rejects after a round trip if no process of that identity serves, and with the
   * signal's reason. No answer comes from a node that is cut off or silent.
   */
  dial(peer: string, signal: AbortSignal, addresses?: readonly string[]): Promise<ByteStream> {
    return this.life.call(() => {
      signal.throwIfAborted()
      if (this.#hasLeft) throw new Error('this node has stopped')
      return this.#switch.dial(this, peer, signal, addresses)
    })
  }

  /** Answer what peers open from now on. A stream whose answer rejects is reset. */
  serveWith(serve: ServeStream): void {
    if (!this.life.isAlive || this.#hasLeft) return
    this.#serve = serve
    this.#switch.opened(this)
  }

  /** A peer has opened a stream. */
  serve(peer: string, stream: ByteStream): void {
    const served = this.#serve?.(peer, stream)
    served?.catch((error: Error) => stream.abort(error))
  }

  /** End all dials and streams, and serve no more. */
  async leave(): Promise<void> {
    await this.life.call(() => this.#leave())
  }

  #leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#serve = undefined
    this.#switch.left(this)
  }
}
