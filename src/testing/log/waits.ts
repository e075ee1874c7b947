import { isPromise } from 'node:util/types'
import type { Cursor, Log } from '../../log/log.ts'
import { brief } from './claims.ts'

/** What a test waits for at this moment, in words. */
export class Waits {
  readonly #pending = new Set<{ readonly what: string }>()

  /** The promise's outcome. It counts as handled, because a test that has failed awaits no more. */
  of<T>(what: string, promise: Promise<T>): Promise<T> {
    const outcome = this.#wait(what, promise)
    outcome.catch(() => {})
    return outcome
  }

  async #wait<T>(what: string, promise: Promise<T>): Promise<T> {
    const wait = { what }
    this.#pending.add(wait)
    try {
      return await promise
    } finally {
      this.#pending.delete(wait)
    }
  }

  toString(): string {
    const count = new Map<string, number>()
    for (const { what } of this.#pending) count.set(what, (count.get(what) ?? 0) + 1)
    const words = Array.from(count, ([what, times]) => (times === 1 ? what : `${what} (${times} times)`))
    return words.length === 0 ? 'nothing of the log' : words.join(', ')
  }
}

/** The log, every call of which is noted while it is under way. */
export function watched(log: Log, waits: Waits): Log {
  return noting(log, '', waits)
}

/** By a proxy, so that what backends add to the interface passes too. */
function noting<T extends object>(subject: T, path: string, waits: Waits): T {
  return new Proxy(subject, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      const name = `${path}${String(key)}`
      if (name === 'notices') return noting(value as Log['notices'], 'notices.', waits)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(value, target, args)
        const what = `${name}(${shown(args[0])})`
        if (isPromise(result)) return waits.of(what, result)
        return isIterable(result) ? iterating(result, what, waits) : result
      }
    },
  })
}

function iterating<T>(iterable: AsyncIterable<T>, what: string, waits: Waits): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = iterable[Symbol.asyncIterator]()
      return {
        next: () => waits.of(`${what} to go on`, iterator.next()),
        return: async (value?: unknown) =>
          (await waits.of(`${what} to end`, Promise.resolve(iterator.return?.(value)))) ?? {
            done: true,
            value,
          },
      }
    },
  }
}

function shown(argument: unknown): string {
  if (argument === undefined) return ''
  if (Array.isArray(argument)) return `${argument.length} entries`
  if (typeof argument === 'object' && argument !== null && 'signal' in argument) return ''
  return isCursor(argument) ? `{ index: ${argument.index} }` : brief(argument)
}

function isCursor(value: unknown): value is Cursor {
  return typeof value === 'object' && value !== null && 'index' in value
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
