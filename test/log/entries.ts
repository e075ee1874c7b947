import assert from 'node:assert/strict'
import type { Cursor, Log, LogBatch, LogEntry, LogInit, NewEntry } from '../../src/log/log.ts'

/** The parameters with which every test opens its log. */
export function init(overrides: Partial<LogInit> = {}): LogInit {
  return { group: 'a group', signature: 'map/1', author: 'alice', ...overrides }
}

/** One command per text. */
export function commands(...texts: string[]): NewEntry[] {
  return texts.map((text) => ({ kind: 'command', payload: new TextEncoder().encode(text) }))
}

export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, n) => String(from + n))
}

export function text({ payload }: LogEntry): string {
  return new TextDecoder().decode(payload)
}

/** Every entry that can be read now, checked for gaps. */
export async function readAll(log: Log, cursor: Cursor = { index: 0 }): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  for await (const batch of log.read(cursor)) entries.push(...batch.entries)
  entries.forEach(({ index }, n) => {
    assert.equal(index, cursor.index + n + 1)
  })
  return entries
}

/** The error of a promise that must reject. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('there was no failure')
}

/** Reads a log one entry at a time. */
export class Follower {
  readonly #batches: AsyncIterator<LogBatch>
  readonly #stop = new AbortController()
  readonly #ready: LogEntry[] = []

  constructor(log: Log, cursor: Cursor = { index: 0 }) {
    this.#batches = log.follow(cursor, { signal: this.#stop.signal })[Symbol.asyncIterator]()
  }

  /** The next entry; undefined when the iteration has ended. */
  async next(): Promise<LogEntry | undefined> {
    if (this.#ready.length === 0) {
      const { value, done } = await this.#batches.next()
      if (done) return undefined
      assert(value.entries.length > 0)
      assert(value.newest.index >= value.entries.at(-1)!.index)
      this.#ready.push(...value.entries)
    }
    return this.#ready.shift()
  }

  async take(count: number): Promise<LogEntry[]> {
    const entries: LogEntry[] = []
    while (entries.length < count) entries.push((await this.next())!)
    return entries
  }

  /** The error that ends the iteration, after every entry that can still be read. */
  failure(): Promise<unknown> {
    const toTheEnd = async () => {
      while (await this.next());
    }
    return failureOf(toTheEnd())
  }

  stop(): void {
    this.#stop.abort()
  }
}
