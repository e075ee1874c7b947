/**
 * What orders here: one process, the sequencer, gives each entry its number. Gossipsub brings the numbered entries to
 * all others, fast, and promises neither that one arrives nor in which order. So what is missing is read from the
 * sequencer, over a stream of libp2p. A consensus of your own has this file's place.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { GossipSub } from '@libp2p/gossipsub'
import { peerIdFromString } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import type { Libp2p } from 'libp2p'

/** For the state (a word), or for snapshot sync (the others). */
export type Entry =
  | { readonly type: 'word'; readonly word: string }
  | { readonly type: 'marker'; readonly requester: string; readonly retires: readonly number[] }
  | { readonly type: 'root'; readonly anchor: number; readonly root: string }

type Node = Libp2p<{ gossip: GossipSub }>
type Question = { readonly append: Entry } | { readonly from: number }
type Answer = { readonly first: number; readonly newest: number; readonly entries: readonly Entry[] }

const PROTOCOL = '/words/log/1.0.0'
const TOPIC = 'words/entries'
/** Entries of one answer, and entries that wait for an earlier one that gossip lost. */
const PAGE = 1_000
/** How long nothing may be heard before the sequencer is asked, in milliseconds. */
const ASK_MS = 500
const ANSWER_MS = 5_000

export class SequencedLog {
  readonly #node: Node
  readonly #sequencer: string
  /** On the sequencer: the entries from `#first` on. A crash loses them, which a consensus is there to prevent. */
  #entries: Entry[] = []
  #first = 1
  /** Gossiped entries that are not applied yet, by their index. */
  readonly #heard = new Map<number, Entry>()
  /** The index of the entry that is applied next. */
  #next = 1
  #wake: () => void = () => {}

  constructor(node: Node, sequencer: string) {
    this.#node = node
    this.#sequencer = sequencer
  }

  get #isSequencer(): boolean {
    return this.#node.peerId.toString() === this.#sequencer
  }

  /** Resolves once this node hears the others and, on the sequencer, answers them. */
  async start(): Promise<void> {
    const { gossip } = this.#node.services
    gossip.addEventListener('message', ({ detail }) => {
      // Messages are signed, and nobody but the sequencer gives numbers.
      const isOrdered = detail.type === 'signed' && detail.from.toString() === this.#sequencer
      if (detail.topic !== TOPIC || !isOrdered || this.#heard.size >= PAGE) return
      const { index, entry } = decode(detail.data)
      if (index >= this.#next) this.#heard.set(index, entry)
      this.#wake()
    })
    gossip.subscribe(TOPIC)
    if (!this.#isSequencer) return
    await this.#node.handle(PROTOCOL, async (stream) => {
      const messages = lpStream(stream)
      await messages.write(encode(this.#answer(decode(await messages.read()))))
      await stream.close()
    })
  }

  /** Resolves with the number that the entry has got. */
  async append(entry: Entry): Promise<number> {
    return (await this.#ask({ append: entry })).newest
  }

  /** The entries from an index on: no more than a page, and none if there is nothing newer or the entry is pruned. */
  async read(from: number): Promise<Answer> {
    return await this.#ask({ from })
  }

  /** On the sequencer: forget the entries before an index. */
  prune(first: number): void {
    this.#entries = this.#entries.slice(first - this.#first)
    this.#first = first
  }

  /** Calls `apply` with each entry from an index on, in order, each once. Rejects when the entry is pruned. */
  async follow(from: number, apply: (index: number, entry: Entry) => void, signal: AbortSignal) {
    for (this.#next = from; !signal.aborted; ) {
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const heard = this.#heard.get(this.#next)
      const entries = heard === undefined ? await this.#missing() : [heard]
      for (const entry of entries) {
        this.#heard.delete(this.#next)
        apply(this.#next++, entry)
      }
      if (entries.length > 0) continue
      await Promise.race([news, delay(ASK_MS, undefined, { signal }).catch(() => undefined)])
    }
  }

  /** What gossip has not brought, or not yet. Nothing while the sequencer is gone: it alone gives numbers. */
  async #missing(): Promise<readonly Entry[]> {
    const { first, entries } = await this.read(this.#next).catch(() => ({ first: 0, entries: [] }))
    if (this.#next >= first) return entries
    throw new RangeError(`entry ${this.#next} is pruned, the log begins with ${first}`)
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#isSequencer) return this.#answer(question)
    const signal = AbortSignal.timeout(ANSWER_MS)
    const stream = await this.#node.dialProtocol(peerIdFromString(this.#sequencer), PROTOCOL, { signal })
    const messages = lpStream(stream)
    await messages.write(encode(question), { signal })
    const answer = decode(await messages.read({ signal }))
    await stream.close({ signal })
    return answer
  }

  #answer(question: Question): Answer {
    if ('append' in question) {
      const index = this.#first + this.#entries.push(question.append) - 1
      const message = encode({ index, entry: question.append })
      // What nobody hears is read.
      this.#node.services.gossip.publish(TOPIC, message).catch(() => undefined)
    }
    const from = 'from' in question ? question.from - this.#first : this.#entries.length
    return {
      first: this.#first,
      newest: this.#first + this.#entries.length - 1,
      entries: from < 0 ? [] : this.#entries.slice(from, from + PAGE),
    }
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value))
const decode = (bytes: { subarray(): Uint8Array }) => JSON.parse(Buffer.from(bytes.subarray()).toString())
