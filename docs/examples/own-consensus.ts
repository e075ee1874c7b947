/**
 * Snapshot sync beside a consensus of one's own: three libp2p nodes with identify, ping and gossipsub share
 * an array. Alice and Bob apply it from its first entry on. Carol comes when that is pruned, and catches up
 * from both.
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { noise } from '@chainsafe/libp2p-noise'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import * as sync from 'anchorage/sync'
import { createLibp2p } from 'libp2p'
import { ArrayConsensus, type Marker } from './array-consensus.ts'

const EPOCH = 'array-1'
const at = (index: number): sync.Position => ({ epoch: EPOCH, index })

/** A libp2p node as others have it, with one service more. */
const createNode = (host: sync.SyncHost) =>
  createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      gossip: gossipsub({ emitSelf: true, allowPublishToZeroTopicPeers: true }),
      sync: sync.snapshotSync({ host }),
    },
  })

/** One replica: it applies the log to its words, and answers what snapshot sync asks of its host. */
class Replica implements sync.SyncHost {
  readonly group = 'words'
  readonly signature = 'words/1'
  readonly epoch = EPOCH
  words: string[] = []
  /** It follows from the log like the words, and is none of them: a joiner gets it as the control bytes. */
  #electors: readonly string[] = []
  #applied = 0
  #needs: number | undefined
  readonly #members = new Map<string, sync.SyncMember>()
  readonly #log: ArrayConsensus
  node!: Awaited<ReturnType<typeof createNode>>

  constructor(log: ArrayConsensus) {
    this.#log = log
  }

  async start(): Promise<void> {
    this.node = await createNode(this)
    const { gossip } = this.node.services
    gossip.addEventListener('message', ({ detail }) => {
      if (detail.type === 'signed') this.#hear(detail.from.toString(), Buffer.from(detail.data).toString())
    })
    gossip.subscribe('members')
    // Gossip loses messages, and a peer may come later.
    const timer = setInterval(() => void this.#announce(), 200)
    this.node.addEventListener('stop', () => clearInterval(timer))
  }

  /**
   * What a member says of itself, signed; this replica hears itself, too. Nonsense leaves its sender unknown.
   */
  #hear(id: string, text: string): void {
    try {
      this.#members.set(id, { ...JSON.parse(text), id })
    } catch {}
  }

  async #announce(): Promise<void> {
    const addresses = this.node.getMultiaddrs().map(String)
    const member = { addresses, serves: this.#applied > 0, applied: this.#applied, needs: this.#needs }
    if (this.node.status !== 'started') return
    await this.node.services.gossip.publish('members', Buffer.from(JSON.stringify(member)))
  }

  /** Apply what is there, and what comes. */
  follow(): void {
    const apply = () => {
      while (this.#applied < this.#log.newest) this.#apply(++this.#applied)
    }
    this.#log.on('grown', apply)
    apply()
  }

  #apply(index: number): void {
    const service = this.node.services.sync
    const entry = this.#log.read(index)
    if (entry.type === 'word') this.words.push(entry.word)
    if (entry.type === 'elector') this.#electors = [...this.#electors, entry.id]
    if (entry.type === 'marker') this.#capture(index, entry)
    if (entry.type === 'vote') {
      const verdict = this.#log.verdict(entry.anchor)
      if (verdict === 'disputed') service.disputed(at(entry.anchor))
      else if (verdict !== undefined) service.sealed(at(entry.anchor))
    }
  }

  #capture(anchor: number, { electors, requester, retires }: Marker): void {
    const service = this.node.services.sync
    for (const index of retires) service.retire(at(index))
    // A copy is enough for an example. A large machine shares what it captures with what it goes on with.
    const items = this.words.map((word) => Buffer.from(word))
    const snapshot = { size: items.length, items: () => items.values(), release() {} }
    const control = Buffer.from(JSON.stringify(this.#electors))
    service.captured(at(anchor), snapshot, { control, chunkBytes: 4_096, requesters: [requester] })
    if (!electors.includes(service.self)) return
    const attest = ({ root }: sync.Manifest) =>
      this.#log.append({ type: 'vote', anchor, by: service.self, root })
    service.whenCut(at(anchor))?.then(attest, () => console.error(service.whyGone(at(anchor))))
  }

  leader(): string | undefined {
    return this.#log.leader
  }

  members(): sync.SyncMember[] {
    return [...this.#members.values()]
  }

  async refreshMembers(): Promise<void> {}

  async appendMarker(requester: string, retires: readonly sync.Position[]): Promise<sync.Position> {
    const electors = this.#electors
    return at(
      this.#log.append({ type: 'marker', electors, requester, retires: retires.map(({ index }) => index) }),
    )
  }

  async isReadable({ index }: sync.Position): Promise<boolean> {
    return index >= this.#log.first
  }

  async sealedRoot(anchor: sync.Position, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      const verdict = this.#log.verdict(anchor.index)
      if (verdict === 'disputed') throw new sync.Disputed(anchor, this.#log.votes(anchor.index))
      if (verdict !== undefined) return verdict
      await once(this.#log, 'grown', { signal })
    }
  }

  async pin(anchor: sync.Position | undefined): Promise<void> {
    this.#needs = anchor?.index
    await this.#announce()
  }

  beginInstall(): sync.StateBuilder {
    const words: string[] = []
    return {
      add: async (chunk, count) => {
        for (const item of sync.itemsOf(chunk, count)) words.push(Buffer.from(item).toString())
      },
      commit: ({ index }, control) => {
        this.words = words
        this.#electors = JSON.parse(Buffer.from(control).toString())
        this.#applied = index
      },
    }
  }
}

/** Tells what happened, and returns the words of all three. */
export async function main(tell: (line: string) => void = console.log): Promise<string[][]> {
  const log = new ArrayConsensus()
  const [alice, bob, carol] = [new Replica(log), new Replica(log), new Replica(log)]
  const replicas = [alice, bob, carol]
  try {
    await Promise.all(replicas.map((replica) => replica.start()))
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
