import type { Clock } from '../expiry/clock.ts'
import { Channel } from './channel.ts'
import { PeerUnavailable } from './errors.ts'
import type { ByteStream } from './frames.ts'
import type { SyncHost } from './host.ts'

/** How the sync core reaches other replicas. `libp2p.ts` is one such network. */
export interface SyncNetwork {
  /** This replica's PeerId, as text. */
  readonly self: string
  /** Open a stream of the sync protocol to a peer. */
  dial(peer: string, addresses: readonly string[], signal: AbortSignal): Promise<ByteStream>
}

/** What a stream is for. Questions do not queue behind chunks: each has a stream of its own. */
export type Purpose = 'ask' | 'fetch'

export interface PeersInit {
  readonly host: SyncHost
  readonly network: SyncNetwork
  readonly clock: Clock
  readonly timeoutMs: Readonly<Record<Purpose, number>>
}

/** The long-lived streams of one session: opened when first needed, and again after they broke. */
export class Peers {
  readonly #init: PeersInit
  readonly #channels = new Map<string, Promise<Channel>>()

  constructor(init: PeersInit) {
    this.#init = init
  }

  async channel(peer: string, purpose: Purpose): Promise<Channel> {
    const key = `${purpose}/${peer}`
    const existing = this.#channels.get(key)
    if (existing !== undefined && (await existing).open) return existing
    if (existing === undefined || this.#channels.get(key) === existing) {
      const opening = this.#open(peer, purpose)
      this.#channels.set(key, opening)
      opening.catch(() => {
        if (this.#channels.get(key) === opening) this.#channels.delete(key)
      })
      return await opening
    }
    return await this.channel(peer, purpose)
  }

  async close(): Promise<void> {
    const channels = [...this.#channels.values()]
    this.#channels.clear()
    await Promise.allSettled(channels.map(async (channel) => (await channel).close()))
  }

  async #open(peer: string, purpose: Purpose): Promise<Channel> {
    const { host, network, clock } = this.#init
    const timeoutMs = this.#init.timeoutMs[purpose]
    const addresses = host.members().find((member) => member.id === peer)?.addresses ?? []
    const dialling = new AbortController()
    const timer = clock.schedule(timeoutMs, () =>
      dialling.abort(new Error(`no connection within ${timeoutMs} ms`)),
    )
    try {
      const stream = await network.dial(peer, addresses, dialling.signal)
      return new Channel({
        stream,
        scope: { group: host.group, signature: host.signature },
        clock,
        timeoutMs,
      })
    } catch (cause) {
      throw new PeerUnavailable(
        `${peer} cannot be reached: ${cause instanceof Error ? cause.message : cause}`,
        { cause },
      )
    } finally {
      timer.cancel()
    }
  }
}
