import { workerData } from 'node:worker_threads'
import { Port } from './port.ts'
import type { LogRequest, Message, ReaderRequest, ThreadInit } from './protocol.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const READS: Readonly<Record<ReaderRequest['type'], true>> = {
  open: true,
  bounds: true,
  upgraded: true,
  notices: true,
  entries: true,
  board: true,
}

/** Serves a handle, in a thread of its own. Reads and writes take turns. */
class LogThread {
  readonly #init: ThreadInit
  readonly #port = new Port((message) => this.#receive(message))
  readonly #reader: Reader
  /** Undefined before the first write: a handle that only reads deletes no pruned rows. */
  #writer: Writer | undefined

  constructor(init: ThreadInit) {
    this.#init = init
    this.#reader = new Reader(init, this.#port)
  }

  #receive(message: Message): void {
    switch (message.type) {
      case 'request': {
        const { call, request } = message
        if (isRead(request)) this.#reader.begin(call, request)
        else this.#writing().begin(call, request)
        break
      }
      case 'credit':
        this.#reader.credit(message.call)
        break
      case 'cancel':
        this.#reader.cancel(message.call)
        break
      case 'close':
        void this.#close()
        break
      default:
        message satisfies never
    }
  }

  #writing(): Writer {
    this.#writer ??= new Writer({
      ...this.#init,
      epoch: this.#reader.epoch,
      port: this.#port,
      reader: this.#reader,
    })
    return this.#writer
  }

  async #close(): Promise<void> {
    // One after the other: the last connection to close knows that it is the last, and removes -wal and -shm.
    await this.#writer?.close()
    await this.#reader.close()
    this.#port.close()
  }
}

function isRead(request: LogRequest): request is ReaderRequest {
  return request.type in READS
}

new LogThread(workerData as ThreadInit)
