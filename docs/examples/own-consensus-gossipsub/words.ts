/** The state, a list of words, and what snapshot sync asks of the consensus that orders them: its host. */
import { setTimeout as delay } from 'node:timers/promises'
import type { GossipSub } from '@libp2p/gossipsub'
import * as sync from 'anchorage/sync'
import type { Libp2p } from 'libp2p'
import type { Entry, SequencedLog } from './sequenced-log.ts'

type Node = Libp2p<{ gossip: GossipSub; sync: sync.SnapshotSyncService }>

const TOPIC = 'words/members'
/** How often a member announces itself, and how long an announcement counts, in milliseconds. */
const ANNOUNCE_MS = 200
const MEMBER_MS = 3_000

export class Words implements sync.SyncHost {
  readonly group = 'words'
  readonly signature = 'words/1'
  /** Each sequencer begins a log of its own: the log and its epoch end with it. */
  readonly epoch: string
  words: string[] = []
  applied = 0
  #needs: number | undefined
  readonly #members = new Map<string, { readonly member: sync.SyncMember; readonly heardMs: number }>()
  #node!: Node
  #log!: SequencedLog

  constructor(sequencer: string) {
    this.epoch = sequencer
  }

  start(node: Node, log: SequencedLog, signal: AbortSignal): void {
    this.#node = node
    this.#log = log
    const { gossip } = node.services
    gossip.addEventListener('message', ({ detail }) => {
      if (detail.topic !== TOPIC || detail.type !== 'signed') return
      const member = { ...JSON.parse(Buffer.from(detail.data).toString()), id: detail.from.toString() }
      this.#members.set(member.id, { member, heardMs: performance.now() })
    })
    gossip.subscribe(TOPIC)
    // Gossip loses messages, and a peer may come later.
    const timer = setInterval(() => void this.#announce().catch(() => undefined), ANNOUNCE_MS)
    signal.addEventListener('abort', () => clearInterval(timer))
  }

  /** The consensus calls it with each entry, in order. */
  apply(index: number, entry: Entry): void {
    const service = this.#node.services.sync
    this.applied = index
    if (entry.type === 'word') this.words.push(entry.word)
    if (entry.type === 'marker') {
      for (const retired of entry.retires) service.retire(this.at(retired))
      const items = this.words.map((word) => Buffer.from(word))
      const snapshot = { size: items.length, items: () => items.values(), release() {} }
      const init = { control: new Uint8Array(), chunkBytes: 4_096, requesters: [entry.requester] }
      service.captured(this.at(index), snapshot, init)
      if (service.self === this.epoch) void this.#attest(index).catch(console.error)
    }
    if (entry.type === 'root') service.sealed(this.at(entry.anchor))
  }

  /** On the sequencer, whose word all take for the order, and so for the state. Where nobody is trusted alone, several vote. */
  async #attest(anchor: number): Promise<void> {
    const manifest = await this.#node.services.sync.whenCut(this.at(anchor))
    if (manifest === undefined) return
    await this.#log.append({ type: 'root', anchor, root: Buffer.from(manifest.root).toString('hex') })
  }

  async #announce(): Promise<void> {
    const addresses = this.#node.getMultiaddrs().map(String)
    const member = { addresses, serves: this.applied > 0, applied: this.applied, needs: this.#needs }
    await this.#node.services.gossip.publish(TOPIC, Buffer.from(JSON.stringify(member)))
  }

  at(index: number): sync.Position {
    return { epoch: this.epoch, index }
  }

  leader(): string {
    return this.epoch
  }

  members(): sync.SyncMember[] {
    const fresh = [...this.#members.values()].filter(({ heardMs }) => performance.now() - heardMs < MEMBER_MS)
    return fresh.map(({ member }) => member)
  }

  async refreshMembers(): Promise<void> {}

  /** On the sequencer. */
  async appendMarker(requester: string, retires: readonly sync.Position[]): Promise<sync.Position> {
    const retired = retires.map(({ index }) => index)
    const index = await this.#log.append({ type: 'marker', requester, retires: retired })
    while (this.applied < index) await delay(1)
    return this.at(index)
  }

  async isReadable({ index }: sync.Position): Promise<boolean> {
    return index >= (await this.#log.read(index)).first
  }

  /** On a joiner, which has not applied what comes before the marker: find the root behind it. */
  async sealedRoot({ index }: sync.Position, signal: AbortSignal): Promise<Uint8Array> {
    for (let next = index; ; ) {
      const { entries } = await this.#log.read(next)
      const found = entries.find((entry) => entry.type === 'root' && entry.anchor === index)
      if (found?.type === 'root') return Buffer.from(found.root, 'hex')
      next += entries.length
      if (entries.length === 0) await delay(50, undefined, { signal })
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
      commit: ({ index }) => {
        this.words = words
        this.applied = index
      },
    }
  }
}
