import type { Connection, ConnectionGater, ConnectionProtector, PeerId } from '@libp2p/interface'
import type { ConnectionManager, TransportManager } from '@libp2p/interface-internal'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { raceSignal } from 'race-signal'
import { asError } from '../thrown.ts'
import { sleep, systemClock, type Timer } from '../time/clock.ts'
import { HandshakeFailed } from './errors.ts'
import { ADDRESSES_MAX, DIAL_MS_MAX, DIAL_STAGGER_MS, DIALS_ANEW, HANDSHAKES_BROKEN } from './limits.ts'

/** What dialling needs of a libp2p node. */
export interface DialerComponents {
  readonly connectionManager: ConnectionManager
  readonly transportManager: TransportManager
  readonly connectionGater: ConnectionGater
  /** With a network key only. */
  readonly connectionProtector?: ConnectionProtector | undefined
}

/**
 * Connects to peers that announce several addresses. Some may lead nowhere: a second network card, a
 * container's inside, another machine's loopback. libp2p itself tries one after the other, so that an address
 * that swallows packets takes up the time of all. Here the next address is tried as soon as one has failed,
 * or has said nothing for a moment. The first that answers wins.
 */
export class Dialer {
  readonly #components: DialerComponents
  /** One dial at a time for a peer, which all callers share. */
  readonly #dials = new Map<string, Dial>()
  /** How many dials to each peer in a row were given up. */
  readonly #givenUp = new Map<string, number>()
  /** How many dials to each peer in a row ended in a broken handshake. */
  readonly #broken = new Map<string, number>()
  #stopped = false

  constructor(components: DialerComponents) {
    this.#components = components
  }

  /** Dial again, after a stop. */
  start(): void {
    this.#stopped = false
  }

  /**
   * End all dials, before the node closes its connections. The node would not know of a connection that is
   * made later, which would keep the process running.
   */
  stop(): void {
    this.#stopped = true
    for (const dial of this.#dials.values()) dial.end(new Error(STOPPED))
  }

  /**
   * An open connection to a peer, or a new one. Rejects when no address answers; after repeated breaks with
   * `HandshakeFailed`.
   */
  async connect(peer: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    if (this.#stopped) throw new Error(STOPPED)
    const { connectionManager } = this.#components
    const open = connectionManager
      .getConnections(peer)
      .find(({ status, limits }) => status === 'open' && !limits)
    if (open !== undefined) return open
    const known = this.#dialable(peer, addresses)
    // No transport of ours knows an address of this kind. libp2p may find one: by its peer store, its
    // routing, or a /dnsaddr.
    if (known.length === 0) return await connectionManager.openConnection(peer, { signal })

    const key = peer.toString()
    let dial = this.#dials.get(key)
    if (dial === undefined || !dial.leadsTo(known)) {
      dial?.end(new Error('it has other addresses now'))
      dial = this.#begin(key, peer, known)
    }
    try {
      const connection = await dial.join(signal)
      this.#broken.delete(key)
      this.#givenUp.delete(key)
      return connection
    } catch (error) {
      throw this.#explained(key, dial, error)
    }
  }

  #begin(key: string, peer: PeerId, addresses: readonly Multiaddr[]): Dial {
    const dial = new Dial(this.#components, peer, addresses, this.#patienceWith(key))
    this.#dials.set(key, dial)
    dial.over.addEventListener('abort', () => {
      if (this.#dials.get(key) === dial) this.#dials.delete(key)
      if (dial.isGivenUp) this.#givenUp.set(key, (this.#givenUp.get(key) ?? 0) + 1)
    })
    return dial
  }

  /**
   * How many callers a dial outlives before it is given up, and one. It grows with each dial that was given up: who asks
   * again goes on where the last one left, so that a handshake with a busy machine ends in the end.
   *
   * Half of the handshakes with another network key are silent, and only those that break off tell why. So where there
   * are such keys, dials begin anew at first.
   */
  #patienceWith(peer: string): number {
    const anew = this.#components.connectionProtector === undefined ? 1 : DIALS_ANEW
    return 1 + Math.max(0, (this.#givenUp.get(peer) ?? 0) + 1 - anew)
  }

  /** The addresses to try, in order. Nonsense, and addresses of another peer, are left out. */
  #dialable(peer: PeerId, addresses: readonly string[]): Multiaddr[] {
    const { transportManager } = this.#components
    const known = new Map<string, Multiaddr>()
    for (const text of addresses) {
      const address = addressOf(peer, text)
      if (address === undefined || transportManager.dialTransportForMultiaddr(address) === undefined) continue
      known.set(address.toString(), address)
    }
    // On another machine a loopback address is somebody else's, if anybody's.
    const sorted = [...known.values()].sort((a, b) => Number(isLoopback(a)) - Number(isLoopback(b)))
    return sorted.slice(0, ADDRESSES_MAX)
  }

  /**
   * One broken handshake may come from a peer that stops, or has too many at once. A second one has another
   * cause.
   */
  #explained(peer: string, dial: Dial, error: unknown): unknown {
    if (!dial.brokeOff) return error
    const count = (this.#broken.get(peer) ?? 0) + 1
    this.#broken.set(peer, count)
    if (count < HANDSHAKES_BROKEN) return error
    const key =
      this.#components.connectionProtector === undefined
        ? 'it has a network key, and this replica has none'
        : 'it has another network key than this replica, or none'
    return new HandshakeFailed(
      `it breaks off the handshake: ${key}, or something else listens there: ${dial.failures}`,
      {
        cause: error,
      },
    )
  }
}

/** Why one address did not lead to the peer. */
interface Failure {
  readonly why: string
  /** Somebody answered there, and broke off the handshake. */
  readonly brokeOff: boolean
}

/**
 * One dial to a peer, at all of its addresses. It ends with the first that answers, after `DIAL_MS_MAX`, or when all
 * callers have left it as often as its patience says.
 */
class Dial {
  readonly #components: DialerComponents
  readonly #peer: PeerId
  readonly #addresses: readonly Multiaddr[]
  /**
   * Stops the try of an address. One that has led to the peer is not among them: stopping would end its
   * connection.
   */
  readonly #trying = new Map<Multiaddr, AbortController>()
  readonly #over = new AbortController()
  readonly #won = Promise.withResolvers<Connection>()
  readonly #failures = new Map<Multiaddr, Failure>()
  /** The addresses at which the handshake began. */
  readonly #answered = new Set<Multiaddr>()
  readonly #timer: Timer
  /** Callers that leave it, one after the other, before it is given up. */
  readonly #patience: number
  #left = 0
  #waiting = 0

  constructor(components: DialerComponents, peer: PeerId, addresses: readonly Multiaddr[], patience: number) {
    this.#components = components
    this.#peer = peer
    this.#addresses = addresses
    this.#patience = patience
    this.#won.promise.catch(() => {})
    this.#timer = systemClock.schedule(DIAL_MS_MAX, () =>
      this.end(new Error(`no connection within ${DIAL_MS_MAX} ms: ${this.failures}`)),
    )
    void this.#run()
  }

  /** Aborts when it ends. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  get isOver(): boolean {
    return this.over.aborted
  }

  get isGivenUp(): boolean {
    return this.#left >= this.#patience
  }

  leadsTo(addresses: readonly Multiaddr[]): boolean {
    return `${addresses}` === `${this.#addresses}`
  }

  /** The handshake was broken off at one of the addresses. A process that hangs is silent instead. */
  get brokeOff(): boolean {
    return [...this.#failures.values()].some(({ brokeOff }) => brokeOff)
  }

  /** What became of each address. */
  get failures(): string {
    const told = this.#addresses.map((address) => {
      const why = this.#failures.get(address)?.why ?? silence(this.#answered.has(address))
      return `${address.decapsulateCode(CODE_P2P)} ${why}`
    })
    return told.join(', ')
  }

  /** Wait for it. Rejects with the signal's reason, and with what became of each address. */
  async join(signal: AbortSignal): Promise<Connection> {
    const translateError = () => new Error(`${reasonOf(signal)}: ${this.failures}`, { cause: signal.reason })
    this.#waiting++
    try {
      return await raceSignal(this.#won.promise, signal, { translateError })
    } finally {
      this.#waiting--
      if (this.#waiting === 0 && !this.isOver) this.#leave()
    }
  }

  #leave(): void {
    this.#left++
    if (this.isGivenUp) this.end(new Error('nobody waits for this dial any more'))
  }

  /** Begin with each address in turn: when the one before has failed, or has said nothing for a moment. */
  async #run(): Promise<void> {
    if (await this.#denied((gater) => gater.denyDialPeer?.(this.#peer)))
      return this.end(new Error(`it ${DENIED}`))
    const attempts: Promise<void>[] = []
    for (const address of this.#addresses) {
      if (this.isOver) break
      const failed = this.#try(address)
      attempts.push(failed)
      const moment = new AbortController()
      const signal = AbortSignal.any([this.#over.signal, moment.signal])
      await Promise.race([failed, sleep(systemClock, DIAL_STAGGER_MS, signal).catch(() => {})])
      moment.abort()
    }
    await Promise.all(attempts)
    this.end(new Error(this.failures))
  }

  /** Resolves when this address has led to the peer, or failed to. */
  async #try(address: Multiaddr): Promise<void> {
    const { transportManager } = this.#components
    const stop = new AbortController()
    this.#trying.set(address, stop)
    try {
      if (await this.#denied((gater) => gater.denyDialMultiaddr?.(address))) {
        this.#failures.set(address, { why: DENIED, brokeOff: false })
        return
      }
      const connection = await transportManager.dial(address, {
        signal: stop.signal,
        onProgress: ({ type }: { readonly type: string }) => {
          if (type === 'upgrader:encrypt-outbound-connection') this.#answered.add(address)
        },
      })
      this.#trying.delete(address)
      if (this.isOver) return connection.abort(asError(this.#over.signal.reason))
      this.#won.resolve(connection)
      this.end(new Error('another address answered first'))
    } catch (error) {
      if (this.isOver) return
      this.#failures.set(address, failureOf(asError(error)))
      this.#answered.delete(address)
    }
  }

  /** What a gater throws counts as no. */
  async #denied(ask: (gater: ConnectionGater) => boolean | Promise<boolean> | undefined): Promise<boolean> {
    try {
      return (await ask(this.#components.connectionGater)) ?? false
    } catch {
      return true
    }
  }

  end(reason: Error): void {
    if (this.isOver) return
    this.#timer.cancel()
    this.#over.abort(reason)
    for (const stop of this.#trying.values()) stop.abort(reason)
    this.#won.reject(reason)
  }
}

const CODE_P2P = 421
const STOPPED = 'this node stops'
const DENIED = "is denied by this node's connection gater"
const UNDIALABLE = /^\/ip4\/0\.0\.0\.0\/|^\/ip6\/::\/|\/tcp\/0(\/|$)/
const LOOPBACK = /^\/ip4\/127\.|^\/ip6\/::1\/|^\/dns[46]?\/localhost\//

/** False for an address to listen on, which nobody can dial: it stands for any interface, or any port. */
export function isDialable(address: string): boolean {
  return !UNDIALABLE.test(address)
}

function isLoopback(address: Multiaddr): boolean {
  return LOOPBACK.test(address.toString())
}

/** An announced address with the peer it must lead to. What a member announces may be anything. */
function addressOf(peer: PeerId, text: string): Multiaddr | undefined {
  if (!isDialable(text)) return undefined
  try {
    const address = multiaddr(text)
    const named = address.getComponents().findLast(({ code }) => code === CODE_P2P)?.value
    if (named === undefined) return address.encapsulate(`/p2p/${peer}`)
    return named === peer.toString() ? address : undefined
  } catch {
    return undefined
  }
}

/** What an address does, by the code of the system's error. */
const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection',
  EHOSTUNREACH: 'cannot be routed to',
  ENETUNREACH: 'cannot be routed to',
  EADDRNOTAVAIL: 'cannot be routed to',
  EINVAL: 'cannot be routed to',
  ETIMEDOUT: 'gives no answer',
  ENOTFOUND: 'has a name that does not resolve',
  EAI_AGAIN: 'has a name that does not resolve',
}

function failureOf(error: Error & { code?: string }): Failure {
  // @libp2p/tcp begins so the message of an error that comes before there is a connection.
  const isConnected = !error.message.startsWith('connection error')
  const why = !isConnected && error.code !== undefined ? WHY[error.code] : undefined
  if (why !== undefined) return { why, brokeOff: false }
  if (error.message.includes('does not match expected')) return { why: 'is another peer', brokeOff: false }
  return { why: `failed: ${error.message}`, brokeOff: isConnected }
}

function silence(answered: boolean): string {
  return answered
    ? 'accepts the connection and does not finish the handshake: it hangs, or has another network key'
    : 'gives no answer'
}

function reasonOf({ reason }: AbortSignal): string {
  return asError(reason).message
}
