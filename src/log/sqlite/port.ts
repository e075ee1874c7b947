import { parentPort } from 'node:worker_threads'
import { serializeError } from '../../serialized-error.ts'
import type { Message, StreamItem } from './protocol.ts'

/** A thread's connection to the handle that started it. */
export class Port<Request> {
  readonly #port = parentPort!

  listen(receive: (message: Message<Request>) => void): void {
    this.#port.on('message', receive)
  }

  value(call: number, value?: unknown): void {
    this.#port.postMessage({ type: 'value', call, value })
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
