import type { ReplicaNetwork } from '../../replica/node/network.ts'
import type { ByteStream } from '../../sync/wire/frames.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import { Dial } from './network/dial.ts'
import { SimulatedEndpoint, type Switch } from './network/endpoint.ts'
import { Link } from './network/link.ts'
import { type LinkQuality, Port } from './network/port.ts'
import { type EndInit, SimulatedStream, type StreamEnd } from './network/stream.ts'
import type { World } from './world.ts'

export type { SimulatedEndpoint } from './network/endpoint.ts'
export type { LinkQuality } from './network/port.ts'

const QUALITY_DEFAULT: LinkQuality = {
  latencyMs: 0.5,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
}
/** Stands for any node in the name of a link that is cut. */
const ANY = '*'
/** Where a peer is that nobody has heard of. */
const NOWHERE = '?'

/** How the processes of a run reach each other: links between nodes, and what befalls them. */
export class SimulatedNetwork {
  readonly #world: World
  readonly #chance: Chance
  readonly #ports = new Map<string, Port>()
  readonly #links = new Map<string, Link>()
  readonly #streams = new Set<SimulatedStream>()
  readonly #dials = new Set<Dial>()
  /** Those that serve, the newest of an identity last. */
  readonly #serving = new Map<string, SimulatedEndpoint[]>()
  /** The node where an identity was last. */
  readonly #lastSeen = new Map<string, string>()
  /** `from>to`, where either may be any. */
  readonly #cuts = new Set<string>()
  readonly #silent = new Set<string>()
  #quality = QUALITY_DEFAULT
  readonly #nodeQuality = new Map<string, Partial<LinkQuality>>()
  readonly #switch: Switch = {
    dial: (from, peer, signal, addresses) => this.#dial(from, peer, signal, addresses),
    opened: (endpoint) => this.#opened(endpoint),
    left: (endpoint) => this.#left(endpoint),
  }

  constructor(world: World) {
    this.#world = world
    this.#chance = world.chance('network')
  }

  /** Streams that have not ended on both sides. A side whose process is dead has ended. */
  get openStreams(): number {
    return this.#streams.size
  }

  /** Bytes that were sent and not read, of all streams. */
  get bytesHeld(): number {
    let bytes = 0
    for (const stream of this.#streams) bytes += stream.heldBytes
    return bytes
  }

  /** Bytes that have arrived, by `from>to` of nodes. */
  get bytes(): ReadonlyMap<string, number> {
    return new Map([...this.#links.values()].map(({ name, deliveredBytes }) => [name, deliveredBytes]))
  }

  /** The network of a replica. */
  join(life: Life, peer: string, node: string): ReplicaNetwork {
    const endpoint = this.joinAs(life, peer, node)
    const addresses: string[] = []
    return {
      self: peer,
      addresses,
      dial: (to, at, signal) => endpoint.dial(to, signal, at),
      start: async (sync) => {
        addresses.push(endpoint.address)
        endpoint.serveWith((from, stream) => sync.serve(from, stream))
      },
      stop: () => endpoint.leave(),
    }
  }

  /** Join with raw streams, for what is no replica: it may send whatever it likes. */
  joinAs(life: Life, peer: string, node: string): SimulatedEndpoint {
    return new SimulatedEndpoint({ life, peer, node }, this.#switch)
  }

  /** For all links, or for those of one node, where the worse of both ends counts. */
  setQuality(quality: Partial<LinkQuality>, node?: string): void {
    if (node === undefined) this.#quality = { ...this.#quality, ...quality }
    else this.#nodeQuality.set(node, { ...this.#nodeQuality.get(node), ...quality })
    for (const port of this.#ports.values()) port.quality = this.#qualityOf(port.node)
  }

  /** Nothing arrives from one node at another. Bytes wait until the link is mended. */
  cut(from: string, to: string): void {
    this.#note(`${from}>${to} is cut`)
    this.#cuts.add(`${from}>${to}`)
    this.#look()
  }

  cutBoth(a: string, b: string): void {
    this.cut(a, b)
    this.cut(b, a)
  }

  /** Cut a node off from all others. */
  isolate(node: string): void {
    this.cut(node, ANY)
    this.cut(ANY, node)
  }

  /** Ends every cut and silence; or the isolation of a node; or the cut of a link. */
  mend(from?: string, to?: string): void {
    this.#note(`${from ?? 'all'}${to === undefined ? '' : `>${to}`} is mended`)
    if (from === undefined) {
      this.#cuts.clear()
      this.#silent.clear()
    } else if (to === undefined) {
      this.#cuts.delete(`${from}>${ANY}`)
      this.#cuts.delete(`${ANY}>${from}`)
    } else this.#cuts.delete(`${from}>${to}`)
    this.#look()
  }

  /** A node takes what is sent to it, and nothing comes back. */
  silence(node: string): void {
    this.#note(`${node} is silent`)
    this.#silent.add(node)
    this.#look()
  }

  speak(node: string): void {
    this.#note(`${node} speaks`)
    this.#silent.delete(node)
    this.#look()
  }

  /** The connection between two nodes breaks, with all streams on it and all that is on its way. */
  disconnect(a: string, b: string): void {
    this.#note(`${a} and ${b} lose their connection`)
    const broke = () => new Error('the connection broke')
    const isTheirs = (one: string, other: string) => (one === a && other === b) || (one === b && other === a)
    for (const dial of [...this.#dials])
      if (isTheirs(dial.from.node, dial.node)) dial.from.life.deliver(() => dial.fail(broke()))
    for (const stream of [...this.#streams]) {
      const [from, to] = stream.ends
      if (!isTheirs(from.node, to.node)) continue
      for (const end of stream.ends) end.break(broke())
    }
  }

  async #dial(
    from: SimulatedEndpoint,
    peer: string,
    signal: AbortSignal,
    addresses?: readonly string[],
  ): Promise<ByteStream> {
    const node = this.#find(peer, addresses)?.node ?? this.#lastSeen.get(peer) ?? NOWHERE
    this.#note(`${from.life.name} dials ${node}`)
    const there = this.#link(from.node, node)
    const back = this.#link(node, from.node)
    const dial = new Dial(from, node, signal)
    this.#dials.add(dial)
    there.carry(0, () => this.#arrived(dial, peer, addresses, { there, back }), from.life.nowMs)
    try {
      return await dial.outcome
    } finally {
      this.#dials.delete(dial)
    }
  }

  /** A dial has reached its node. */
  #arrived(
    dial: Dial,
    peer: string,
    addresses: readonly string[] | undefined,
    { there, back }: { readonly there: Link; readonly back: Link },
  ): void {
    const { from, node } = dial
    if (dial.isOver || !from.life.isAlive) return
    const to = this.#find(peer, addresses)
    if (to?.node !== node) {
      this.#note(`${node} refuses ${from.life.name}`)
      const refused = new Error(`${peer} refused the connection`)
      back.carry(0, () => from.life.deliver(() => dial.fail(refused)))
      return
    }
    const [own, served] = this.#open({ owner: from, out: there }, { owner: to, out: back })
    dial.stream = own
    back.carry(0, () => from.life.deliver(() => dial.succeed(own)))
    to.life.deliver(() => to.serve(from.self, served))
  }

  #open(from: EndInit, to: EndInit): readonly [StreamEnd, StreamEnd] {
    const stream = new SimulatedStream(from, to, () => {
      if (this.#streams.delete(stream)) this.#note(`${stream} is over`)
    })
    this.#streams.add(stream)
    return stream.ends
  }

  /** Of two processes of one identity, one at a known address. */
  #find(peer: string, addresses: readonly string[] = []): SimulatedEndpoint | undefined {
    const serving = this.#serving.get(peer)
    return serving?.findLast(({ address }) => addresses.includes(address)) ?? serving?.at(-1)
  }

  #opened(endpoint: SimulatedEndpoint): void {
    const { self, node } = endpoint
    const others = this.#serving.get(self)?.filter((other) => other !== endpoint) ?? []
    this.#serving.set(self, [...others, endpoint])
    this.#lastSeen.set(self, node)
  }

  #left(endpoint: SimulatedEndpoint): void {
    const { self, life } = endpoint
    this.#serving.set(self, this.#serving.get(self)?.filter((other) => other !== endpoint) ?? [])
    const stopped = new Error('this node has stopped')
    for (const dial of [...this.#dials]) {
      if (dial.from !== endpoint) continue
      // Its stream, if there is one already, is among those below.
      if (life.isAlive) dial.fail(stopped)
      else this.#dials.delete(dial)
    }
    for (const stream of [...this.#streams])
      for (const end of stream.ends) {
        if (end.owner !== endpoint) continue
        if (life.isAlive) end.abort(stopped)
        // It may have died in that call, which has no effect then.
        if (!life.isAlive) end.die()
      }
  }

  #link(from: string, to: string): Link {
    const name = `${from}>${to}`
    const known = this.#links.get(name)
    if (known !== undefined) return known
    const link = new Link({
      world: this.#world,
      chance: this.#chance,
      from: this.#port(from),
      to: this.#port(to),
    })
    this.#links.set(name, link)
    if (this.#isBlocked(link)) link.block()
    return link
  }

  #port(node: string): Port {
    const port = this.#ports.get(node) ?? new Port(node, this.#qualityOf(node))
    this.#ports.set(node, port)
    return port
  }

  #qualityOf(node: string): LinkQuality {
    return { ...this.#quality, ...this.#nodeQuality.get(node) }
  }

  /** Links were cut or mended. */
  #look(): void {
    for (const link of this.#links.values()) {
      if (this.#isBlocked(link)) link.block()
      else link.unblock()
    }
  }

  #isBlocked({ from, to }: Link): boolean {
    return (
      this.#silent.has(from) ||
      this.#cuts.has(`${from}>${to}`) ||
      this.#cuts.has(`${from}>${ANY}`) ||
      this.#cuts.has(`${ANY}>${to}`)
    )
  }

  #note(what: string): void {
    this.#world.note('network', what)
  }
}
