import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Connections at once. Prometheus and a load balancer need one each, and a browser up to six. */
export const CONNECTIONS_MAX = 64

/**
 * The connections of a server. A client that holds many of them shuts nobody out: a new one takes the place of the one
 * that asked for nothing for the longest time. On each there is one request at a time, as browsers and scrapers send
 * them. Answers to more of them would all be made at once, and would wait in memory for the first.
 */
export class Connections {
  /** With the answer of each to its last request. Who asked last is the last one. */
  readonly #open = new Map<Socket, ServerResponse | undefined>()
  readonly #kept = new WeakSet<Socket>()

  constructor(server: Server) {
    server.on('connection', (socket) => {
      this.#open.set(socket, undefined)
      socket.once('close', () => this.#open.delete(socket))
      if (this.#open.size > CONNECTIONS_MAX) this.#close(this.#oldest)
    })
  }

  /** A request came. False if it is not to be answered: then its connection is closed. */
  asks(socket: Socket, response: ServerResponse): boolean {
    if (socket.destroyed) return false
    if (this.#open.get(socket)?.writableFinished === false) {
      this.#close(socket)
      return false
    }
    this.#open.delete(socket)
    this.#open.set(socket, response)
    return true
  }

  /** It is answered with a stream, whose number has a bound of its own: it makes room for nobody. */
  keep(socket: Socket): void {
    this.#kept.add(socket)
  }

  get #oldest(): Socket {
    for (const socket of this.#open.keys()) if (!this.#kept.has(socket)) return socket
    throw new Error('there are fewer streams than connections')
  }

  #close(socket: Socket): void {
    this.#open.delete(socket)
    socket.destroy()
  }
}
