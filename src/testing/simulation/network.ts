import type { Uint8ArrayList } from 'uint8arraylist'
import type { ReplicaNetwork } from '../../replica/node/network.ts'
import type { ByteStream } from '../../sync/wire/frames.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export interface LinkQuality {
  readonly latencyMs: number
  readonly jitterMs: number
  readonly bytesPerSecond: number
}

type Serve = (peer: string, stream: ByteStream) => Promise<void>

/** Unread bytes of a stream at which its sender waits. */
const WINDOW_BYTES = 256 * 1024

interface Endpoint {
  readonly life: Life
  readonly peer: string
  readonly node: string
  serve: Serve | undefined
}

/** How replicas of a run reach each other. */
export class SimulatedNetwork {
  readonly #world: World
  readonly #chance: Chance
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #streams = new Set<Stream>()
  readonly #nodeQuality = new Map<string, LinkQuality>()
  /** `from>to` of links that deliver nothing; the node alone of a silent one. */
  readonly #cuts = new Set<string>()
  readonly #silent = new Set<string>()
  /** When what a node sends has left it, by its bandwidth. */
  readonly #sentUntil = new Map<string, number>()
  /** When what was sent last over a link arrives. */
  readonly #arrivedUntil = new Map<string, number>()
  /** Deliveries that wait for a cut to be mended. */
  #waiting: { readonly from: string; readonly to: string; readonly go: () => void }[] = []
  #quality: LinkQuality = { latencyMs: 0.5, jitterMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }

  constructor(world: World) {
    this.#world = world
    this.#chance = world.chance('network')
  }

  get openStreams(): number {
    return this.#streams.size
  }

  setQuality(quality: Partial<LinkQuality>, node?: string): void {
    if (node === undefined) this.#quality = { ...this.#quality, ...quality }
    else this.#nodeQuality.set(node, { ...this.#quality, ...quality })
  }

  join(life: Life, peer: string, node: string): ReplicaNetwork {
    const endpoint: Endpoint = { life, peer, node, serve: undefined }
    const addresses: string[] = []
    return {
      self: peer,
      addresses,
      dial: (to, _addresses, signal) => this.#dial(endpoint, to, signal),
      start: async (sync) => {
        addresses.push(`/sim/${node}`)
        endpoint.serve = (from, stream) => sync.serve(from, stream)
        this.#endpoints.set(peer, endpoint)
        life.onDeath(() => this.#leave(endpoint))
      },
      stop: async () => this.#leave(endpoint),
    }
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`)
  }

  isolate(node: string): void {
    this.#cuts.add(`${node}>*`)
    this.#cuts.add(`*>${node}`)
  }

  silence(node: string): void {
    this.#silent.add(node)
  }

  speak(node: string): void {
    this.#silent.delete(node)
    this.#release()
  }

  mend(from?: string, to?: string): void {
    if (from === undefined) {
      this.#cuts.clear()
      this.#silent.clear()
    } else if (to === undefined) {
      this.#cuts.delete(`${from}>*`)
      this.#cuts.delete(`*>${from}`)
    } else this.#cuts.delete(`${from}>${to}`)
    this.#release()
  }

  disconnect(a: string, b: string): void {
    for (const stream of [...this.#streams]) {
      const nodes = stream.ends.map(({ node }) => node)
      if (nodes.includes(a) && nodes.includes(b)) stream.reset('the connection broke')
    }
  }

  /** Have something cross a link: after its latency and bandwidth, and when it is not cut. */
  carry(from: string, to: string, bytes: number, deliver: () => void): void {
    const go = () => {
      if (this.#isCut(from, to)) this.#waiting.push({ from, to, go: deliver })
      else deliver()
    }
    this.#world.schedule(this.#delayMs(from, to, bytes), go)
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream)
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { from, to, go } of waiting) this.carry(from, to, 0, go)
  }

  #isCut(from: string, to: string): boolean {
    if (this.#cuts.size === 0 && this.#silent.size === 0) return false
    return (
      this.#cuts.has(`${from}>${to}`) ||
      this.#cuts.has(`${from}>*`) ||
      this.#cuts.has(`*>${to}`) ||
      this.#silent.has(from)
    )
  }

  #delayMs(from: string, to: string, bytes: number): number {
    const qualities = [
      this.#nodeQuality.get(from) ?? this.#quality,
      this.#nodeQuality.get(to) ?? this.#quality,
    ]
    const latencyMs = Math.max(...qualities.map((one) => one.latencyMs))
    const { jitterMs } = this.#quality
    const bytesPerSecond = Math.min(...qualities.map((one) => one.bytesPerSecond))
    const { nowMs } = this.#world
    const sentMs = Math.max(nowMs, this.#sentUntil.get(from) ?? 0) + (bytes * 1_000) / bytesPerSecond
    this.#sentUntil.set(from, sentMs)
    const wouldMs = sentMs + latencyMs + (jitterMs > 0 ? this.#chance.next() * jitterMs : 0)
    // What was sent later does not arrive earlier.
    const link = `${from}>${to}`
    const arrivesMs = Math.max(wouldMs, this.#arrivedUntil.get(link) ?? 0)
    this.#arrivedUntil.set(link, arrivesMs)
    return arrivesMs - nowMs
  }

  async #dial(from: Endpoint, to: string, signal: AbortSignal): Promise<ByteStream> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<ByteStream>()
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    const node = this.#endpoints.get(to)?.node ?? '?'
    this.carry(from.node, node, 0, () => {
      const endpoint = this.#endpoints.get(to)
      if (endpoint?.serve === undefined) {
        this.carry(node, from.node, 0, () =>
          from.life.deliver(() => reject(new Error(`${to} refused the connection`))),
        )
        return
      }
      const stream = new Stream(this, from, endpoint)
      this.carry(node, from.node, 0, () =>
        from.life.deliver(() => {
          if (signal.aborted) return stream.reset('the dial was given up')
          resolve(stream.endOf(0))
        }),
      )
      this.#streams.add(stream)
      endpoint.life.deliver(() => {
        const served = endpoint.serve?.(from.peer, stream.endOf(1)).catch(() => {})
        void served?.finally(() => this.forget(stream))
      })
    })
    return await promise
  }

  #leave(endpoint: Endpoint): void {
    endpoint.serve = undefined
    if (this.#endpoints.get(endpoint.peer) === endpoint) this.#endpoints.delete(endpoint.peer)
    for (const stream of [...this.#streams])
      if (stream.ends.includes(endpoint)) stream.reset('the peer has left')
  }
}

/** One direction of a stream, as its reader sees it. */
class Pipe {
  readonly #life: Life
  readonly #arrived: Uint8Array[] = []
  #isEnded = false
  #failure: Error | undefined
  #changed = Promise.withResolvers<void>()
  /** Sent and not read yet. */
  bytes = 0

  constructor(life: Life) {
    this.#life = life
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  arrive(bytes: Uint8Array): void {
    this.#arrived.push(bytes)
    this.notify()
  }

  end(): void {
    this.#isEnded = true
    this.notify()
  }

  fail(reason: Error): void {
    this.#failure ??= reason
    this.notify()
  }

  notify(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  changed(): Promise<void> {
    return this.#changed.promise
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const next = this.#arrived.shift()
      if (next !== undefined) {
        this.bytes -= next.byteLength
        this.notify()
        yield next
      } else if (this.#isEnded) return
      else {
        await this.#changed.promise
        if (!this.#life.isAlive) await new Promise(() => {})
      }
    }
  }
}

class Stream {
  readonly ends: readonly [Endpoint, Endpoint]
  readonly #network: SimulatedNetwork
  readonly #pipes: readonly [Pipe, Pipe]
  #isReset = false

  constructor(network: SimulatedNetwork, from: Endpoint, to: Endpoint) {
    this.#network = network
    this.ends = [from, to]
    this.#pipes = [new Pipe(from.life), new Pipe(to.life)]
  }

  endOf(n: 0 | 1): ByteStream {
    const self = this.ends[n]
    const other = this.ends[n === 0 ? 1 : 0]
    const into = this.#pipes[n]
    const out = this.#pipes[n === 0 ? 1 : 0]
    let closed = false
    const across = (bytes: number, deliver: () => void) =>
      this.#network.carry(self.node, other.node, bytes, () => other.life.deliver(deliver))
    return {
      source: into.read(),
      async send(list: Uint8ArrayList) {
        if (out.failure !== undefined) throw out.failure
        if (closed) throw new Error('this side of the stream was closed')
        const bytes = list.slice()
        out.bytes += bytes.byteLength
        across(bytes.byteLength, () => out.arrive(bytes))
        while (out.bytes > WINDOW_BYTES && out.failure === undefined) await out.changed()
        if (out.failure !== undefined) throw out.failure
      },
      get unsentBytes() {
        return out.bytes
      },
      async flushed() {
        while (out.bytes > 0 && out.failure === undefined) await out.changed()
        if (out.failure !== undefined) throw out.failure
      },
      close: async () => {
        if (closed) return
        closed = true
        across(0, () => out.end())
      },
      abort: (reason) => {
        into.fail(reason)
        out.fail(new Error(`the stream was reset: ${reason.message}`))
        this.#network.forget(this)
      },
    }
  }

  reset(why: string): void {
    if (this.#isReset) return
    this.#isReset = true
    this.#network.forget(this)
    for (const n of [0, 1] as const) {
      const { node, life } = this.ends[n]
      const other = this.ends[n === 0 ? 1 : 0].node
      this.#network.carry(other, node, 0, () =>
        life.deliver(() => {
          this.#pipes[0].fail(new Error(why))
          this.#pipes[1].fail(new Error(why))
        }),
      )
    }
  }
}
