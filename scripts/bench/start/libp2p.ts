/** A libp2p node with the transport, the encryption and the multiplexer of a replica, and nothing else. */
import { tellWhenIdle } from './figures.ts'

const beganMs = performance.now()
const [{ createLibp2p }, { tcp }, { noise }, { yamux }] = await Promise.all([
  import('libp2p'),
  import('@libp2p/tcp'),
  import('@chainsafe/libp2p-noise'),
  import('@libp2p/yamux'),
])
const importedMs = performance.now()
const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
})
const readyMs = performance.now()
await tellWhenIdle({ importMs: importedMs - beganMs, createMs: readyMs - importedMs, readyMs })
await node.stop()
