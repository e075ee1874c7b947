/** The host of the example `own-consensus.ts`: what snapshot sync asks of a consensus, by an array. */
import { once } from 'node:events'
import type { GossipSub } from '@libp2p/gossipsub'
import type { Ping } from '@libp2p/ping'
import * as sync from 'anchorage/sync'
import type { Libp2p } from 'libp2p'
import type { ArrayConsensus, Marker } from './array-consensus.ts'

const EPOCH = 'array-1'
export const at = (index: number): sync.Position => ({ epoch: EPOCH, index })

/** The services that it uses of its libp2p node. */
type Node = Libp2p<{ gossip: GossipSub; ping: Ping; sync: sync.SnapshotSyncService }>

/** One replica: it applies the log to its words, and answers what snapshot sync asks of its host. */
export class Replica implements sync.SyncHost {
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
  node!: Node

  constructor(log: ArrayConsensus) {
    this.#log = log
  }

  /** Announce itself to the others, and hear them. */
  join(node: Node): void {
    this.node = node
    const { gossip } = node.services
    gossip.addEventListener('message', ({ detail }) => {
      if (detail.type === 'signed') this.#hear(detail.from.toString(), Buffer.from(detail.data).toString())
    })
    gossip.subscribe('members')
    // Gossip loses messages, and a peer may come later.
    const timer = setInterval(() => void this.#announce(), 200)
    node.addEventListener('stop', () => clearInterval(timer))
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
