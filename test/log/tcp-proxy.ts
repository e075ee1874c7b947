import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of bytes on their way. The returned bytes go on; `cut` drops them and ends the connection. */
type Passing = (bytes: Buffer) => Buffer | 'cut'

/** Stands between a client and a server of NATS or PostgreSQL, and changes what passes. */
export class TcpProxy implements AsyncDisposable {
  /** From the client to the server. */
  toServer: Passing = (bytes) => bytes
  /** From the server to the client. */
  toClient: Passing = (bytes) => bytes
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async to(url: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(url)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  private constructor(url: string) {
    const { hostname, port } = new URL(url)
    this.#server = createServer((client) => {
      const server = connect(Number(port), hostname)
      const end = () => {
        client.destroy()
        server.destroy()
      }
      for (const socket of [client, server]) {
        this.#sockets.add(socket)
        socket.on('error', end).on('close', () => {
          this.#sockets.delete(socket)
          end()
        })
      }
      client.on('data', (bytes) => pass(this.toServer(bytes), server, end))
      server.on('data', (bytes) => pass(this.toClient(bytes), client, end))
    })
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /** End every connection. New ones are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** End every connection, and let no new one come about, until the returned function is called. */
  block(): () => void {
    const { toServer, toClient } = this
    this.toServer = this.toClient = () => 'cut'
    this.cut()
    return () => {
      this.toServer = toServer
      this.toClient = toClient
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

function pass(outcome: Buffer | 'cut', to: Socket, end: () => void): void {
  if (outcome === 'cut') end()
  else to.write(outcome)
}
