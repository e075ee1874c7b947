import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { serializeError } from '../../serialized-error.ts'
import type { CallValue, Message, StreamItem } from './protocol.ts'

/** A thread's connection to the handle that started it. */
export class Port {
  readonly #port = parentPort!
  readonly #receive: (message: Message) => void

  constructor(receive: (message: Message) => void) {
    this.#receive = receive
    this.#port.on('message', receive)
  }

  /** Receive the next message now, within the same turn. Returns false if none has come. */
  receiveNext(): boolean {
    const received = receiveMessageOnPort(this.#port)
    if (received !== undefined) this.#receive(received.message)
    return received !== undefined
  }

  value(call: number, value?: unknown): void {
    this.#port.postMessage({ type: 'value', call, value })
  }

  values(values: readonly CallValue[]): void {
    this.#port.postMessage({ type: 'values', values })
  }

  error(call: number, error: unknown): void {
    this.#port.postMessage({ type: 'error', call, error: serializeError(error) })
  }

  item(call: number, item: StreamItem, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage({ type: 'item', call, item }, transfer)
  }

  /** Send and receive nothing more. The thread ends with its last timer. */
  close(): void {
    this.#port.close()
  }
}
