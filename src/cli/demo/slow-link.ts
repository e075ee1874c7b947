import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const HOST = '127.0.0.1'
/** Bytes that are passed on at once. More would arrive in bursts on a slow link. */
const PIECE_BYTES = 2 * 1024

/**
 * A TCP port that leads to another one of this machine, and lets only so much through from there. A replica that
 * announces it, instead of the port on which it listens, serves as slowly as over a network far away, so that one can
 * watch.
 */
export class SlowLink implements AsyncDisposable {
  readonly #target: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #bytesPerSecond: number
  #changed = Promise.withResolvers<void>()
  /** When what was let through so far will have passed. */
  #freeAtMs = 0

  /** Resolves when it listens. A rate of 0 holds everything back. */
  static async open(target: number, bytesPerSecond: number): Promise<SlowLink> {
    const link = new SlowLink(target, bytesPerSecond)
    link.#server.listen(0, HOST)
    await once(link.#server, 'listening')
    return link
  }

  private constructor(target: number, bytesPerSecond: number) {
    this.#target = target
    this.#bytesPerSecond = bytesPerSecond
    this.#server = createServer((socket) => this.#join(socket))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** In the terms of libp2p. */
  get multiaddr(): string {
    return `/ip4/${HOST}/tcp/${this.port}`
  }

  set bytesPerSecond(value: number) {
    this.#bytesPerSecond = value
    this.#freeAtMs = 0
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    // Whatever waits for its turn ends.
    this.bytesPerSecond = Number.POSITIVE_INFINITY
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(near: Socket): void {
    const far = connect(this.#target, HOST)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    near.pipe(far)
    this.#pass(far, near).catch(() => near.destroy())
  }

  async #pass(from: Socket, to: Socket): Promise<void> {
    for await (const bytes of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES)
        await this.#turn(piece.length)
        if (to.destroyed) return
        if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')])
      }
    }
    to.end()
  }

  /** Resolves when so many more bytes may pass. */
  async #turn(bytes: number): Promise<void> {
    while (this.#bytesPerSecond === 0) await this.#changed.promise
    const nowMs = performance.now()
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (1_000 * bytes) / this.#bytesPerSecond
    await Promise.race([sleep(this.#freeAtMs - nowMs), this.#changed.promise])
  }
}
