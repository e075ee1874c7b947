import { noise } from '@chainsafe/libp2p-noise'
import type { PrivateKey } from '@libp2p/interface'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p, type Libp2pOptions } from 'libp2p'
import type { SyncHost } from '../sync/host.ts'
import { type Libp2pSnapshotSync, snapshotSync } from '../sync/index.ts'
import type { SnapshotSyncInit } from '../sync/snapshot-sync.ts'
import { noiseCrypto } from './noise-crypto.ts'

/** Loopback only: who wants to be reached from elsewhere says so. */
const LISTEN_DEFAULT = ['/ip4/127.0.0.1/tcp/0']
/** libp2p's own limits, 5 a second from one host and 10 handshakes at once, would keep a cluster on one machine apart. */
const CONNECTIONS = { inboundConnectionThreshold: 100, maxIncomingPendingConnections: 100 }

export interface NodeInit {
  readonly privateKey: PrivateKey
  readonly listen: readonly string[] | undefined
  readonly libp2p: Libp2pOptions | undefined
  readonly networkKey: Uint8Array | undefined
  readonly sync: SnapshotSyncInit & { readonly host: SyncHost }
}

export type ReplicaNode = Libp2p<{ sync: Libp2pSnapshotSync }>

/** A libp2p node with TCP, noise and yamux, unless the application brings others, and the sync service. */
export async function createNode(init: NodeInit): Promise<ReplicaNode> {
  return await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise({ crypto: noiseCrypto })],
    streamMuxers: [yamux()],
    ...(init.networkKey && { connectionProtector: preSharedKey({ psk: init.networkKey }) }),
    ...init.libp2p,
    connectionManager: { ...CONNECTIONS, ...init.libp2p?.connectionManager },
    privateKey: init.privateKey,
    addresses: { ...init.libp2p?.addresses, listen: [...(init.listen ?? LISTEN_DEFAULT)] },
    services: { ...init.libp2p?.services, sync: snapshotSync(init.sync) },
  })
}
