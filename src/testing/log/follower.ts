import assert from 'node:assert/strict'
import type { Cursor, Log, LogBatch, LogEntry } from '../../log/log.ts'
import { failureOf } from './claims.ts'

/** Every entry that can be read now, checked for gaps. */
export async function readAll(log: Log, cursor: Cursor = { index: 0 }): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  for await (const batch of log.read(cursor)) entries.push(...checked(batch))
  entries.forEach(({ index }, n) => {
    const wanted = cursor.index + n + 1
    assert(index === wanted, `read gave entry ${index} where ${wanted} comes: there is a gap or a repetition`)
  })
  return entries
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
      this.#ready.push(...checked(value))
    }
    return this.#ready.shift()
  }

  async take(count: number): Promise<LogEntry[]> {
    const entries: LogEntry[] = []
    while (entries.length < count) {
      const entry = await this.next()
      assert(entry, `follow ended after ${entries.length} entries of ${count}, without an error`)
      entries.push(entry)
    }
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

function checked({ entries, newest }: LogBatch): readonly LogEntry[] {
  const last = entries.at(-1)
  assert(last, 'there was a batch without entries')
  assert(
    newest.index >= last.index,
    `a batch ends with entry ${last.index}, and says that ${newest.index} is the newest`,
  )
  return entries
}
