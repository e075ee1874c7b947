import { Child } from './child.ts'
import type { Receive, Received, Receiver } from './raw-stream/receiver.ts'
import type { Sender } from './raw-stream/sender.ts'

/** Sizes of one write. The faster of the two counts. */
const WRITE_BYTES = [64 * 1024, 1024 * 1024]

/**
 * What the wire carries: libp2p streams over TCP, noise and yamux, written as fast as back-pressure allows.
 * The sender and the receivers have processes of their own.
 */
export class RawStreams implements AsyncDisposable {
  readonly #sender = new Child<Sender>(new URL('./raw-stream/sender.ts', import.meta.url))
  readonly #receivers: Child<Receiver>[]
  #address = ''

  /** @param receivers processes that share the streams */
  static async start(receivers = 1): Promise<RawStreams> {
    const raw = new RawStreams(receivers)
    try {
      raw.#address = await raw.#sender.call('listen')
      return raw
    } catch (error) {
      await raw[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(receivers: number) {
    const program = new URL('./raw-stream/receiver.ts', import.meta.url)
    this.#receivers = Array.from({ length: receivers }, () => new Child<Receiver>(program))
  }

  /** One stream, from the request to the last byte: bytes per second at the faster size of writes. */
  async bytesPerSecond(bytes: number, hashing: boolean): Promise<number> {
    const received = await this.#receive(bytes, hashing)
    return (bytes * 1_000) / Math.min(...received.map(({ tookMs }) => tookMs))
  }

  /**
   * One stream, whose receiver hashes what arrives: the receiver's processor time at the better size of
   * writes, in milliseconds.
   */
  async receiverCpuMs(bytes: number): Promise<number> {
    const received = await this.#receive(bytes, true)
    return Math.min(...received.map(({ cpuMs }) => cpuMs))
  }

  /** The sender's processor time, in milliseconds, for `bytes` on each of `streams` connections at once. */
  async senderCpuMs(bytes: number, streams: number): Promise<number> {
    const of: Receive = {
      address: this.#address,
      bytes,
      writeBytes: WRITE_BYTES.at(-1)!,
      streams: Math.ceil(streams / this.#receivers.length),
      hashing: false,
    }
    const beganMs = await this.#sender.call('cpuMs')
    const receiving = this.#receivers.slice(0, streams)
    await Promise.all(receiving.map((receiver) => receiver.call('receive', of)))
    return (await this.#sender.call('cpuMs')) - beganMs
  }

  /** One stream for each size of writes, one after the other. */
  async #receive(bytes: number, hashing: boolean): Promise<Received[]> {
    const received: Received[] = []
    for (const writeBytes of WRITE_BYTES) {
      await this.#sender.call('collectGarbage')
      const of = { address: this.#address, bytes, writeBytes, streams: 1, hashing }
      received.push(await this.#receivers[0]!.call('receive', of))
    }
    return received
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#sender, ...this.#receivers].map((child) => child[Symbol.asyncDispose]()))
  }
}
