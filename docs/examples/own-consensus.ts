/**
 * Snapshot sync beside a consensus of one's own: three libp2p nodes with identify, ping and gossipsub share
 * an array. Alice and Bob apply it from its first entry on. Carol comes when that is pruned, and catches up
 * from both. What each answers snapshot sync as its host is in `words-replica.ts`, the array in
 * `array-consensus.ts`.
 */
import { setTimeout } from 'node:timers/promises'
import { noise } from '@chainsafe/libp2p-noise'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { type SyncHost, snapshotSync } from 'anchorage/sync'
import { createLibp2p } from 'libp2p'
import { ArrayConsensus } from './array-consensus.ts'
import { at, Replica } from './words-replica.ts'

/** A libp2p node as others have it, with one service more. */
const createNode = (host: SyncHost) =>
  createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      gossip: gossipsub({ emitSelf: true, allowPublishToZeroTopicPeers: true }),
      sync: snapshotSync({ host }),
    },
  })

/** Tells what happened, and returns the words of all three. */
export async function main(tell: (line: string) => void = console.log): Promise<string[][]> {
  const log = new ArrayConsensus()
  const [alice, bob, carol] = [new Replica(log), new Replica(log), new Replica(log)]
  const replicas = [alice, bob, carol]
  try {
    await Promise.all(replicas.map(async (replica) => replica.join(await createNode(replica))))
    const [aliceId, bobId] = [alice, bob].map(({ node }) => node.peerId.toString())
    for (const id of [aliceId!, bobId!]) log.append({ type: 'elector', id })
    log.leader = aliceId
    for (let n = 1; n <= 50_000; n++) log.append({ type: 'word', word: `word ${n}` })
    for (const replica of [alice, bob]) replica.follow()
    log.first = log.newest + 1
    tell(`Alice and Bob have ${alice.words.length} words, and the log is pruned`)

    for (const { node } of [alice, bob]) await carol.node.dial(node.getMultiaddrs())
    const pingMs = await carol.node.services.ping.ping(alice.node.peerId)
    tell(`Carol is connected to ${carol.node.getPeers().length} peers; a ping takes ${pingMs} ms`)
    const signal = AbortSignal.timeout(30_000)
    // A joiner may as well begin at once: it then fetches from the first that knows it.
    const isKnown = (replica: Replica) =>
      replica.members().length === 3 && replica.members().filter(({ serves }) => serves).length === 2
    while (!replicas.every(isKnown)) await setTimeout(20, undefined, { signal })
    const report = await carol.node.services.sync.catchUp({ position: at(0), signal })
    const from = report.providersUsed.map((id) => (id === aliceId ? 'Alice' : 'Bob')).sort()
    tell(`Carol fetched ${report.bytesFetched} bytes from ${from.join(' and ')}, at ${report.anchor.index}`)
    carol.follow()
    await carol.pin(undefined)
    log.append({ type: 'word', word: 'the newest' })
    tell(`Carol has ${carol.words.length} words, of which the last is "${carol.words.at(-1)}"`)
    return replicas.map(({ words }) => words)
  } finally {
    await Promise.all(replicas.map(({ node }) => node?.stop()))
  }
}

if (import.meta.main) await main()
