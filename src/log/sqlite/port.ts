import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { serializeError } from '../../serialized-error.ts'
import type { CallValue, Message, StreamItem } from './protocol.ts'

/** A thread's connection to the handle that started it. */
export class Port<Request> {
  readonly #port = parentPort!

  listen(receive: (message: Message<Request>) => void): void {
    this.#port.on('message', receive)
  }

  /** The next message, if one has come. It is then not given to the listener. */
  next(): Message<Request> | undefined {
    return receiveMessageOnPort(this.#port)?.message
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
