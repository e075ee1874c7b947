/** A list of words that several processes share: `npx node node.ts alice`, and the others with her address. */
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { snapshotSync } from 'anchorage/sync'
import { createLibp2p } from 'libp2p'
import { SequencedLog } from './sequenced-log.ts'
import { Words } from './words.ts'

const [name = 'alice', address] = process.argv.slice(2)
const privateKey = await generateKeyPair('Ed25519')
const self = peerIdFromPrivateKey(privateKey).toString()
/** The first process. The others have its PeerId at the end of its address. */
const sequencer = address?.split('/p2p/')[1] ?? self

const host = new Words(sequencer)
const node = await createLibp2p({
  privateKey,
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    gossip: gossipsub({ emitSelf: true, allowPublishToZeroTopicPeers: true }),
    sync: snapshotSync({ host }),
  },
})
const log = new SequencedLog(node, sequencer)
const stopped = new AbortController()
await log.start()
if (address !== undefined) await node.dial(multiaddr(address))
else writeFileSync('alice.address', `${node.getMultiaddrs()[0]}`)
host.start(node, log, stopped.signal)

const { first } = await log.read(1)
if (first > 1) {
  const { anchor, bytesFetched } = await node.services.sync.catchUp({
    position: host.at(0),
    signal: AbortSignal.timeout(30_000),
  })
  console.log(`${name} fetched ${bytesFetched} bytes, the words at entry ${anchor.index}`)
}
const following = log.follow(host.applied + 1, apply, stopped.signal)
// What this node has to read yet is pinned, so that nobody prunes it.
const { newest } = await log.read(host.applied + 1)
while (host.applied < newest) await delay(10)
await host.pin(undefined)
console.log(`${name} has ${JSON.stringify(host.words)}`)

for await (const line of createInterface({ input: process.stdin })) {
  // Only the sequencer has a log. It keeps what a member has to read yet.
  if (line === '/prune' && self === sequencer) {
    log.prune(
      Math.min(host.applied + 1, ...host.members().map(({ needs }) => needs ?? Number.POSITIVE_INFINITY)),
    )
    console.log(`${name} has pruned the log`)
  } else {
    await log
      .append({ type: 'word', word: line })
      .catch((error: Error) => console.log(`${name} cannot write: ${error.message}`))
  }
}
stopped.abort()
await following
await node.stop()

function apply(index: number, entry: Parameters<Words['apply']>[1]): void {
  host.apply(index, entry)
  if (entry.type === 'word') console.log(`${name} hears: ${entry.word}`)
}
