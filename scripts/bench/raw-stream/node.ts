import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'

export const PROTOCOL = '/anchorage-bench/raw/1'

/** What a receiver asks of a sender. */
export interface Wish {
  readonly bytes: number
  /** Bytes of one write. */
  readonly writeBytes: number
}

/** A libp2p node as a replica makes one, without the sync service. */
export function createNode(listen: string[]): Promise<Libp2p> {
  return createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 100, maxIncomingPendingConnections: 100 },
    // On a busy machine a ping may be late.
    connectionMonitor: { abortConnectionOnPingFailure: false },
    addresses: { listen },
  })
}

export function encodeWish({ bytes, writeBytes }: Wish): Uint8Array {
  return new Uint8Array(new Float64Array([bytes, writeBytes]).buffer)
}

export function decodeWish(bytes: Uint8Array): Wish {
  const [total, writeBytes] = new Float64Array(new Uint8Array(bytes).buffer)
  return { bytes: total!, writeBytes: writeBytes! }
}
