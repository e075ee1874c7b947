import { asError } from '../../thrown.ts'
import type { Clock } from '../../time/clock.ts'
import { HandshakeFailed, PeerUnavailable } from '../errors.ts'
import type { SyncHost } from '../host.ts'
import { Channel } from './channel.ts'
import type { ByteStream } from './frames.ts'
import type { ProvenFault } from './proven-fault.ts'
import { Pulse } from './pulse.ts'

/** How the sync core reaches other replicas. `libp2p.ts` is one such network. */
export interface SyncNetwork {
  /** This replica's PeerId, as text. */
  readonly self: string
  /** Open a stream of the sync protocol to a peer. */
  dial(peer: string, addresses: readonly string[], signal: AbortSignal): Promise<ByteStream>
}

/**
 * What a stream is for. Each purpose has a stream of its own, so that questions do not queue behind chunks.
 */
export type Purpose = 'ask' | 'fetch'
const PURPOSES: readonly Purpose[] = ['ask', 'fetch']

export interface PeersInit {
  readonly host: SyncHost
  readonly network: SyncNetwork
  readonly clock: Clock
  /**
   * How long a dial may take, and how long a peer may then be silent while an answer is due, in milliseconds.
   */
  readonly timeoutMs: number
  /** The catch-up that everything is asked for. Default: none. */
  readonly catchUp?: string
  /** A peer sent bytes that no honest replica sends. Its stream has ended. */
  readonly onProof?: (peer: string, proof: ProvenFault) => void
}

/**
 * The long-lived streams of one session. Each is opened when it is first needed, and again after it broke.
 */
export class Peers {
  readonly #init: PeersInit
  readonly #channels = new Map<string, Promise<Channel>>()
  readonly #pulses = new Map<string, Pulse>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(init: PeersInit) {
    this.#init = init
  }

  /** Bytes received from all peers so far. */
  get receivedBytes(): number {
    let bytes = 0
    for (const pulse of this.#pulses.values()) bytes += pulse.bytes
    return bytes
  }

  /** Bytes of any kind that each peer has sent so far. */
  received(): ReadonlyMap<string, number> {
    return new Map([...this.#pulses].map(([peer, { bytes }]) => [peer, bytes]))
  }

  /**
   * The channel to a peer. Rejects with `PeerUnavailable` if the peer cannot be reached, and after `close`.
   */
  async channel(peer: string, purpose: Purpose): Promise<Channel> {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason
    const key = `${purpose}/${peer}`
    const existing = this.#channels.get(key)
    if (existing !== undefined && (await existing).open) return existing
    if (existing === undefined || this.#channels.get(key) === existing) {
      const opening = this.#open(peer)
      this.#channels.set(key, opening)
      opening.catch(() => {
        if (this.#channels.get(key) === opening) this.#channels.delete(key)
      })
      return await opening
    }
    return await this.channel(peer, purpose)
  }

  /** End the streams to one peer. Requests that are due on them reject with the reason. */
  abort(peer: string, reason: Error): void {
    for (const purpose of PURPOSES) {
      const channel = this.#channels.get(`${purpose}/${peer}`)
      channel?.then(
        (open) => open.abort(reason),
        () => {},
      )
    }
  }

  /** End every dial and every stream. Requests that are due then reject. */
  close(): Promise<void> {
    this.#closing.abort(new PeerUnavailable('the session is over'))
    this.#closed ??= Promise.allSettled(
      [...this.#channels.values()].map(async (channel) => (await channel).close()),
    ).then(() => {})
    return this.#closed
  }

  #pulse(peer: string): Pulse {
    const pulse = this.#pulses.get(peer) ?? new Pulse()
    this.#pulses.set(peer, pulse)
    return pulse
  }

  async #open(peer: string): Promise<Channel> {
    const { host, network, clock, timeoutMs, catchUp, onProof } = this.#init
    const addresses = host.members().find((member) => member.id === peer)?.addresses ?? []
    const dialling = new AbortController()
    const timer = clock.schedule(timeoutMs, () =>
      dialling.abort(new Error(`no connection within ${timeoutMs} ms`)),
    )
    const signal = AbortSignal.any([this.#closing.signal, dialling.signal])
    try {
      const stream = await network.dial(peer, addresses, signal)
      return new Channel({
        stream,
        scope: { group: host.group, signature: host.signature, also: host.also ?? [], catchUp },
        clock,
        timeoutMs,
        pulse: this.#pulse(peer),
        onProof: (proof) => onProof?.(peer, proof),
      })
    } catch (cause) {
      const Kind = cause instanceof HandshakeFailed ? HandshakeFailed : PeerUnavailable
      throw new Kind(`${peer} cannot be reached: ${asError(cause).message}`, {
        cause,
      })
    } finally {
      timer.cancel()
    }
  }
}
