import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { serveCalls } from '../child.ts'

/**
 * A process with links to providers: TCP proxies, each of which limits the bytes a second from its provider.
 */

/** How much passes at once: the bytes of this many milliseconds. */
const QUANTUM_MS = 2
/** Bytes that may wait before a link until its provider's connection is read no further. */
const WAITING_BYTES_MAX = 1024 * 1024

/**
 * One link. While bytes wait, exactly its rate passes, even if its timer is late. Time in which no bytes
 * wait, or in which the receiver takes none, is lost.
 */
class Link {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Undefined if there is no limit. */
  #bytesPerMs: number | undefined
  #target = 0
  #waiting: { readonly bytes: Buffer; readonly to: Socket }[] = []
  #waitingBytes = 0
  readonly #paused = new Set<Socket>()
  /** Since when bytes have waited without a break, and what has passed since. */
  #sinceMs = 0
  #passedSince = 0
  #passed = 0
  #timer: NodeJS.Timeout | undefined
  #blocked = false

  constructor() {
    this.#server = createServer((client) => this.#connected(client))
  }

  /** Resolves with the port it listens on. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Bytes of the provider that have passed so far. */
  get passed(): number {
    return this.#passed
  }

  /** The port of the provider. */
  set target(port: number) {
    this.#target = port
  }

  limit(bytesPerSecond: number): void {
    this.#bytesPerMs = bytesPerSecond / 1_000
    this.#begin()
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #connected(client: Socket): void {
    const provider = connect(this.#target, '127.0.0.1')
    for (const [socket, other] of [
      [client, provider],
      [provider, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      // The `close` event reports the end.
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#sockets.delete(socket)
        this.#paused.delete(socket)
        other.destroy()
      })
    }
    client.pipe(provider)
    provider.on('data', (bytes) => {
      if (this.#waiting.length === 0) this.#begin()
      this.#waiting.push({ bytes, to: client })
      this.#waitingBytes += bytes.length
      if (this.#waitingBytes > WAITING_BYTES_MAX) {
        provider.pause()
        this.#paused.add(provider)
      }
      if (this.#timer === undefined && !this.#blocked) this.#pass()
    })
  }

  /** Time counts from now on. */
  #begin(): void {
    this.#sinceMs = performance.now()
    this.#passedSince = 0
  }

  #pass(): void {
    this.#timer = undefined
    let mayPass =
      this.#bytesPerMs === undefined
        ? Number.POSITIVE_INFINITY
        : Math.floor((performance.now() - this.#sinceMs) * this.#bytesPerMs) - this.#passedSince
    while (mayPass > 0 && this.#waiting.length > 0) {
      const { bytes, to } = this.#waiting[0]!
      const part = bytes.subarray(0, mayPass)
      if (part.length === bytes.length) this.#waiting.shift()
      else this.#waiting[0] = { bytes: bytes.subarray(part.length), to }
      mayPass -= part.length
      this.#waitingBytes -= part.length
      this.#passedSince += part.length
      this.#passed += part.length
      if (!to.destroyed && !to.write(part)) {
        this.#waitFor(to)
        return
      }
    }
    if (this.#waitingBytes <= WAITING_BYTES_MAX / 2) {
      for (const provider of this.#paused) provider.resume()
      this.#paused.clear()
    }
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#pass(), QUANTUM_MS)
  }

  #waitFor(client: Socket): void {
    this.#blocked = true
    const goOn = () => {
      client.off('drain', goOn)
      client.off('close', goOn)
      this.#blocked = false
      this.#begin()
      this.#pass()
    }
    client.on('drain', goOn)
    client.on('close', goOn)
  }
}

const links: Link[] = []

const methods = {
  /** Resolves with the ports of `count` links, whose limits are not set yet. */
  async open(count: number): Promise<number[]> {
    links.push(...Array.from({ length: count }, () => new Link()))
    return await Promise.all(links.map((link) => link.listen()))
  },
  /** Set the port of the provider behind a link. */
  lead(link: number, port: number): void {
    links[link]!.target = port
  },
  limit(bytesPerSecond: number): void {
    for (const link of links) link.limit(bytesPerSecond)
  },
  /** Bytes that have passed all links so far. */
  passed: (): number => links.reduce((sum, link) => sum + link.passed, 0),
}

serveCalls(methods, () => {
  for (const link of links) link.close()
})

export type Links = typeof methods
