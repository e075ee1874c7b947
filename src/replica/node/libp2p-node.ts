import { noise } from '@chainsafe/libp2p-noise'
import type { PrivateKey, Startable } from '@libp2p/interface'
import type { AddressManager, TransportManager } from '@libp2p/interface-internal'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p, type Libp2pOptions } from 'libp2p'
import { Libp2pNetwork, type ServeStream, type SnapshotSyncComponents } from '../../sync/libp2p.ts'
import { type ProviderLimits, providerLimits } from '../../sync/limits.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import type { ByteStream } from '../../sync/wire/frames.ts'
import { ListenFailed } from '../errors.ts'
import { parseAddress } from './multiaddrs.ts'
import type { ReplicaNetwork } from './network.ts'
import { type NetworkKey, type NetworkKeys, networkKeysIn } from './network-key.ts'
import { noiseCrypto } from './noise-crypto.ts'

/** Loopback only: a replica that is to be reached from elsewhere is told so. */
const LISTEN_DEFAULT = ['/ip4/127.0.0.1/tcp/0']
/**
 * libp2p's own limits would keep a cluster on one machine apart: 5 connections a second from one host, and 10
 * handshakes at once.
 */
const CONNECTIONS = { inboundConnectionThreshold: 100, maxIncomingPendingConnections: 100 }
/**
 * libp2p ends a connection whose ping takes 5 s. Behind chunks on a link of 0.3 MB/s a ping takes longer: the
 * buffers on the way hold some megabytes, which go before it.
 */
const MONITOR = { pingTimeout: { minTimeout: 30_000 } }

export interface NodeInit {
  readonly privateKey: PrivateKey
  readonly listen: readonly string[] | undefined
  readonly announce?: readonly string[] | undefined
  readonly libp2p?: Libp2pOptions | undefined
  readonly networkKey: NetworkKeys | undefined
  readonly limits?: Partial<ProviderLimits> | undefined
}

/**
 * The default network of a replica: a libp2p node with TCP, noise and yamux, unless the application brings
 * others.
 */
export class Libp2pNode implements ReplicaNetwork {
  readonly self: string
  readonly #init: NodeInit
  readonly #network: Libp2pNetwork
  readonly #keys: readonly NetworkKey[]
  #node: Libp2p | undefined

  constructor(init: NodeInit) {
    this.self = peerIdFromPrivateKey(init.privateKey).toString()
    this.#init = init
    this.#keys = init.networkKey === undefined ? [] : networkKeysIn(init.networkKey)
    const { streamsPerPeer } = providerLimits(init.limits)
    this.#network = new Libp2pNetwork({ self: this.self, streamsPerPeer })
  }

  get networkKeys(): string[] {
    return this.#keys.map(({ fingerprint }) => fingerprint)
  }

  get addresses(): string[] {
    return this.#node?.getMultiaddrs().map(String) ?? []
  }

  async dial(peer: string, addresses: readonly string[], signal: AbortSignal): Promise<ByteStream> {
    return await this.#network.dial(peer, addresses, signal)
  }

  /** Throws `ListenFailed`, and `RangeError` for an announced address that names another peer. */
  async start(sync: Pick<SnapshotSync, 'serve'>): Promise<void> {
    const { privateKey, libp2p } = this.#init
    const serve: ServeStream = (peer, stream) => sync.serve(peer, stream)
    const listen = [...(this.#init.listen ?? LISTEN_DEFAULT)]
    const announce = this.#init.announce?.map((text) => announced(text, this.self))
    try {
      this.#node = await createLibp2p({
        transports: [tcp()],
        connectionEncrypters: [noise({ crypto: noiseCrypto })],
        streamMuxers: [yamux()],
        ...(this.#keys.length > 0 && (await protectedBy(this.#keys))),
        ...libp2p,
        connectionManager: { ...CONNECTIONS, ...libp2p?.connectionManager },
        connectionMonitor: { ...MONITOR, ...libp2p?.connectionMonitor },
        privateKey,
        addresses: { ...libp2p?.addresses, listen, ...(announce && { announce }) },
        services: {
          ...libp2p?.services,
          sync: (components: SnapshotSyncComponents) => this.#network.join(components, serve),
          anchorageAddresses: (components: AddressComponents) => new Addresses(listen, components),
        },
      })
    } catch (error) {
      throw listenFailure(error) ?? error
    }
  }

  async stop(): Promise<void> {
    await this.#node?.stop()
  }
}

/** Loaded where it is needed: a visit without a key has no time to lose. */
async function protectedBy(keys: readonly NetworkKey[]): Promise<Pick<Libp2pOptions, 'connectionProtector'>> {
  const { NetworkProtector } = await import('./network-protector.ts')
  return { connectionProtector: () => new NetworkProtector(keys) }
}

interface AddressComponents {
  readonly addressManager: AddressManager
  readonly transportManager: TransportManager
}

/** A service of the node that checks and cleans up what libp2p leaves open about its addresses. */
class Addresses implements Startable {
  readonly #listen: readonly string[]
  readonly #components: AddressComponents

  constructor(listen: readonly string[], components: AddressComponents) {
    this.#listen = listen
    this.#components = components
  }

  /**
   * Every address must be one that a transport can listen on. libp2p is content when it can listen on one of
   * several.
   */
  start(): void {
    const { transportManager } = this.#components
    for (const address of this.#listen) {
      if (transportManager.listenTransportForMultiaddr(multiaddr(address)) !== undefined) continue
      throw new ListenFailed([{ address, why: 'no transport of this replica listens on such an address' }])
    }
  }

  stop(): void {}

  /**
   * Stop a timer of libp2p's: a listener that closes starts it to write down the addresses a second later,
   * and it would keep the process until then.
   */
  afterStop(): void {
    const { _updatePeerStoreAddresses: update } = this.#components.addressManager as Debounced
    update?.stop()
  }
}

/** A private member of libp2p 3.3's address manager. A test tells when stopping it does not help any more. */
interface Debounced {
  readonly _updatePeerStoreAddresses?: { stop(): void }
}

/** The address without the peer's id, which libp2p adds itself. */
function announced(text: string, self: string): string {
  const address = parseAddress('announce', text)
  const peer = address.getComponents().at(-1)
  if (peer?.name !== 'p2p') return address.toString()
  if (peer.value === self) return address.decapsulate(`/p2p/${self}`).toString()
  throw new RangeError(`announce has ${text}, which names another peer than this, ${self}; leave /p2p/ away`)
}

/** The reasons of each address, which libp2p puts into its message together with their stacks. */
function listenFailure(error: unknown): ListenFailed | undefined {
  if (!(error instanceof Error) || error.name !== 'UnsupportedListenAddressesError') return undefined
  const reasons = error.message.matchAll(/^ *(\/\S+): \w+: (.+)$/gm)
  return new ListenFailed(Array.from(reasons, ([, address, why]) => ({ address: address!, why: why! })))
}
