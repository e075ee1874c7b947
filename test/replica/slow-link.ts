import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Bytes that wait in front of the link before a connection is read no further. */
const WAITING_BYTES_MAX = 64 * 1024
const QUANTUM_MS = 5

/**
 * One link that several replicas are behind: what they send shares so many bytes a second, and what anybody sends takes half a
 * round trip.
 */
export class SlowLink implements AsyncDisposable {
  readonly #bytesPerMs: number
  readonly #delayMs: number
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  readonly #waiting: { readonly bytes: Buffer; readonly from: Socket; readonly to: Socket }[] = []
  #freeAtMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: { readonly bytesPerSecond: number; readonly roundTripMs: number }) {
    this.#bytesPerMs = options.bytesPerSecond / 1_000
    this.#delayMs = options.roundTripMs / 2
  }

  /** The address at which others reach through the link what listens on a port. */
  async addressOf(port: number): Promise<string> {
    const server = createServer((client) => this.#connected(client, port))
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers) {
      server.close()
      await once(server, 'close')
    }
  }

  #connected(client: Socket, port: number): void {
    const provider = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, provider],
      [provider, client],
    ] as const) {
      this.#sockets.add(socket)
      // Its end is told by `close`.
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes) => this.#later(provider, bytes))
    provider.on('data', (bytes) => {
      this.#waiting.push({ bytes, from: provider, to: client })
      if (this.#waitingOf(provider) > WAITING_BYTES_MAX) provider.pause()
      this.#timer ??= setTimeout(() => this.#pass(), 0)
    })
  }

  #waitingOf(from: Socket): number {
    return this.#waiting.reduce((sum, one) => sum + (one.from === from ? one.bytes.length : 0), 0)
  }

  #pass(): void {
    this.#timer = undefined
    const nowMs = performance.now()
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs - QUANTUM_MS)
    while (this.#freeAtMs <= nowMs && this.#waiting.length > 0) {
      const { bytes, from, to } = this.#waiting.shift()!
      this.#freeAtMs += bytes.length / this.#bytesPerMs
      this.#later(to, bytes)
      if (this.#waitingOf(from) <= WAITING_BYTES_MAX / 2) from.resume()
    }
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#pass(), QUANTUM_MS)
  }

  #later(to: Socket, bytes: Buffer): void {
    setTimeout(() => {
      if (to.writable) to.write(bytes)
    }, this.#delayMs)
  }
}

/** A port of the loopback interface that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
