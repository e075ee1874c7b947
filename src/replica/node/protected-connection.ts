import type { AbortOptions, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { KeyStream } from './key-stream.ts'

/** What is sent and received over a connection, once both sides have exchanged their nonces. */
export class ProtectedConnection extends AbstractMultiaddrConnection {
  readonly #inner: MultiaddrConnection
  readonly #outbound: KeyStream

  constructor(inner: MultiaddrConnection, { inbound, outbound }: Record<'inbound' | 'outbound', KeyStream>) {
    const { remoteAddr, direction, log } = inner
    super({ remoteAddr, direction, log: log.newScope('network-key') })
    this.#inner = inner
    this.#outbound = outbound
    inner.addEventListener('message', ({ data }) => this.onData(inbound.update(data)))
    inner.addEventListener('drain', () => this.onMuxerDrain())
    inner.addEventListener('close', ({ error, local }) => {
      if (error === undefined) this.onTransportClosed()
      else if (local) this.abort(error)
      else this.onRemoteReset()
    })
  }

  override sendData(data: Uint8ArrayList): SendResult {
    return { sentBytes: data.byteLength, canSendMore: this.#inner.send(this.#outbound.update(data)) }
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    await this.#inner.close(options)
  }

  override sendReset(error: Error): void {
    this.#inner.abort(error)
  }

  override sendPause(): void {
    this.#inner.pause()
  }

  override sendResume(): void {
    this.#inner.resume()
  }
}
