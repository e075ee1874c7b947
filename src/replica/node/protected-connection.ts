import type { AbortOptions, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { asError } from '../../thrown.ts'
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
    inner.addEventListener('message', ({ data }) => {
      const decrypted = this.#through(inbound, data)
      if (decrypted !== undefined) this.onData(decrypted)
    })
    inner.addEventListener('drain', () => this.onMuxerDrain())
    inner.addEventListener('close', ({ error, local }) => {
      if (error === undefined) this.onTransportClosed()
      else if (local) this.abort(error)
      else this.onRemoteReset()
    })
  }

  override sendData(data: Uint8ArrayList): SendResult {
    const encrypted = this.#through(this.#outbound, data)
    const canSendMore = encrypted !== undefined && this.#inner.send(encrypted)
    return { sentBytes: data.byteLength, canSendMore }
  }

  /** Undefined when the stream's 256 GiB have passed: that is the end of this connection, and of nothing else. */
  #through(stream: KeyStream, data: Uint8Array | Uint8ArrayList): Uint8Array | undefined {
    try {
      return stream.update(data)
    } catch (error) {
      this.abort(asError(error))
      return undefined
    }
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
