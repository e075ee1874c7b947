import { Worker } from 'node:worker_threads'
import { raceSignal } from 'race-signal'
import { threadFlags } from '../../node-flags.ts'
import { deserializeError, type ErrorClass } from '../../serialized-error.ts'
import { asError } from '../../thrown.ts'
import * as errors from '../errors.ts'
import { LogUnusable } from '../errors.ts'
import type { SignalOptions } from '../log.ts'
import { Notifier } from '../notifier.ts'
import type { LogRequest, Message, Reply, StreamItem, ThreadInit } from './protocol.ts'

/** A call or stream that waits for replies of the thread. */
interface Waiting {
  item?(item: StreamItem): void
  value(value: unknown): void
  error(error: Error): void
}

/** The thread ended without being asked to. */
export class ThreadEnded extends LogUnusable {}

/** The classes of our own errors that a thread can throw: only those of the log. */
const LOG_ERRORS = Object.values<ErrorClass>(errors)

/** This file's own name: `.ts` in the sources, `.js` in the published package. In a bundle it is neither. */
const OWN_NAME = /[/\\]sqlite[/\\]thread\.(ts|js)$/

/** A handle's thread, as the main thread sees it. */
export class Thread {
  readonly #path: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  #calls = 0
  #isOver: Error | undefined

  /** Throws `LogUnusable` if no thread can be started. */
  constructor(init: ThreadInit) {
    this.#path = init.path
    this.#worker = this.#start(init)
    this.#worker.on('message', (reply: Reply) => this.#settle(reply))
    this.#worker.on('error', (cause) => this.#end(cause))
    this.#ended = new Promise((resolve) =>
      this.#worker.once('exit', () => {
        this.#end(undefined)
        resolve()
      }),
    )
  }

  /** False once the thread can answer nothing more. */
  get isAlive(): boolean {
    return this.#isOver === undefined
  }

  /** Make a request and wait for the answer. An abort stops the waiting, not the thread. */
  async call<Value>(
    request: LogRequest,
    { signal }: SignalOptions = {},
    transfer?: ArrayBuffer[],
  ): Promise<Value> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Value>()
    const call = this.#ask(request, { value: (value) => resolve(value as Value), error: reject }, transfer)
    try {
      return await raceSignal(promise, signal)
    } finally {
      this.#waiting.delete(call)
    }
  }

  /**
   * Request a stream. Its items are made as fast as they are consumed. It ends without an error when the
   * signal aborts.
   */
  async *stream<Item>(
    request: LogRequest,
    receive: (item: StreamItem) => Item,
    signal: AbortSignal,
  ): AsyncGenerator<Item> {
    if (signal.aborted) return
    const items: Item[] = []
    const notifier = new Notifier()
    let end: { error?: Error } | undefined
    const over = (error?: Error) => {
      end ??= error ? { error } : {}
      notifier.notify()
    }
    const abort = () => over()
    const call = this.#ask(request, {
      item: (item) => {
        items.push(receive(item))
        notifier.notify()
      },
      value: abort,
      error: over,
    })
    signal.addEventListener('abort', abort)
    try {
      while (!signal.aborted) {
        const item = items.shift()
        if (item !== undefined) {
          this.#post({ type: 'credit', call })
          yield item
        } else if (end) {
          if (end.error) throw end.error
          return
        } else await notifier.wait()
      }
    } finally {
      signal.removeEventListener('abort', abort)
      if (this.#waiting.delete(call)) this.#post({ type: 'cancel', call })
    }
  }

  /** End the thread, after everything that was asked for is answered. */
  async close(): Promise<void> {
    this.#post({ type: 'close' })
    await this.#ended
  }

  #ask(request: LogRequest, waiting: Waiting, transfer?: ArrayBuffer[]): number {
    if (this.#isOver) throw this.#isOver
    const call = ++this.#calls
    this.#waiting.set(call, waiting)
    this.#post({ type: 'request', call, request }, transfer)
    return call
  }

  #post(message: Message, transfer?: ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer)
  }

  #settle(reply: Reply): void {
    if (reply.type === 'values') {
      for (const [call, value] of reply.values) this.#settle({ type: 'value', call, value })
      return
    }
    const waiting = this.#waiting.get(reply.call)
    if (reply.type === 'item') {
      waiting?.item?.(reply.item)
      return
    }
    this.#waiting.delete(reply.call)
    if (reply.type === 'value') waiting?.value(reply.value)
    else waiting?.error(deserializeError(reply.error, LOG_ERRORS))
  }

  #start(workerData: ThreadInit): Worker {
    const own: string | undefined = import.meta.url
    const extension = OWN_NAME.exec(own ?? '')?.[1]
    if (extension === undefined)
      throw new LogUnusable(
        `it is served by a thread, which runs from a file of its own, and ${own ?? 'this program'} is a bundle without it: leave the package anchorage out of the bundle (esbuild: --external:anchorage or --packages=external)`,
        { place: this.#path },
      )
    try {
      const file = new URL(`./log-thread.${extension}`, own)
      return new Worker(file, { name: 'anchorage log', workerData, ...threadFlags() })
    } catch (cause) {
      const why = `the thread that serves it cannot be started: ${asError(cause).message}`
      throw new LogUnusable(why, { place: this.#path, cause })
    }
  }

  #end(cause: unknown): void {
    if (this.#isOver) return
    const why = cause === undefined ? '' : `: ${asError(cause).message}`
    const message = `the thread that serves it has ended${why}; the next call starts another`
    this.#isOver = new ThreadEnded(message, { place: this.#path, cause })
    for (const waiting of this.#waiting.values()) waiting.error(this.#isOver)
    this.#waiting.clear()
  }
}
