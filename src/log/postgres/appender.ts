import { randomBytes } from 'node:crypto'
import { AppendQueue, type Committed } from '../append-queue.ts'
import { AppendUncertain, EpochChanged, LogBusy, LogUnavailable } from '../errors.ts'
import type { Appended, NewEntry, SignalOptions } from '../log.ts'
import { Pause } from '../pause.ts'
import { byteaArray } from './bytea-array.ts'
import type { Connection, Value } from './connection.ts'
import { isAnswer, isReadOnly } from './failures.ts'
import { entryId, KINDS } from './page.ts'
import type { Table } from './table.ts'

/** The most payload of one append, in bytes: 512 MiB. A server's message has less than 1 GiB. */
const APPEND_BYTES_MAX = 512 * 1024 * 1024
/** How long an append looks for a server that takes it, in milliseconds. A promotion may take that long. */
const PATIENCE_MS = 60_000
/** The same once the log is being closed, in milliseconds. */
const CLOSING_PATIENCE_MS = 2_000

/** Nothing ends a pause early. */
const UNENDING = new AbortController().signal

/** Why an append that was sent before is not known: the lock of its rows cannot be had. */
const UNDER_WAY = 'the server still carries it out'

/** What is known of entries whose outcome is not. */
interface Attempt {
  readonly values: readonly Value[]
  readonly seq: number
  readonly count: number
  /** The entries are after this index, if they are in the log. */
  readonly after: number
  /** They were sent, and it is unknown whether they were committed. */
  isUnknown: boolean
}

/** Appends the entries of one handle. */
export class Appender {
  readonly #table: Table
  readonly #author: Buffer
  /** This handle's number in the table. An entry's id is made of it and of a number that is never used twice. */
  readonly #key: string
  /** The same as a `bigint` of the table. */
  readonly #number: bigint
  readonly #queue = new AppendQueue((entries) => this.#commit(entries))
  readonly #underWay = new Set<Promise<void>>()
  #seq = 0
  /** The log's newest index when this handle appended last. */
  #newest = 0
  #closingSinceMs: number | undefined

  constructor(table: Table, author: string) {
    this.#table = table
    this.#author = Buffer.from(author)
    const writer = randomBytes(8)
    this.#key = writer.toString('hex')
    this.#number = writer.readBigInt64BE()
  }

  async append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    const bytes = entries.reduce((sum, { payload }) => sum + payload.byteLength, 0)
    if (bytes > APPEND_BYTES_MAX) {
      throw new RangeError(
        `one append has ${bytes} bytes; give at most ${APPEND_BYTES_MAX}, or several appends`,
      )
    }
    return await this.#queue.append(entries, options)
  }

  /** Resolves when every append has settled. */
  async close(): Promise<void> {
    this.#closingSinceMs = this.#table.link.clock.now()
    this.#queue.handOverAll()
    await Promise.all(this.#underWay)
  }

  async #commit(entries: readonly NewEntry[]): Promise<Committed> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#underWay.add(promise)
    try {
      return await this.#append(this.#attempt(entries))
    } finally {
      this.#underWay.delete(promise)
      resolve()
    }
  }

  #attempt(entries: readonly NewEntry[]): Attempt {
    const seq = this.#seq
    const count = entries.length
    this.#seq += count
    const largest = entries.reduce((most, { payload }) => Math.max(most, payload.byteLength), 0)
    const kinds = Uint8Array.from(entries, ({ kind }) => KINDS.indexOf(kind))
    const values = [this.#number, this.#author, seq, count, largest, kinds, byteaArray(entries)]
    return { values, seq, count, after: this.#newest, isUnknown: false }
  }

  /** Try until the outcome is known, or for as long as there is patience. */
  async #append(attempt: Attempt): Promise<Committed> {
    const { link } = this.#table
    const sinceMs = link.clock.now()
    const pause = new Pause()
    for (;;) {
      try {
        const first = await this.#try(attempt)
        this.#newest = Math.max(this.#newest, first + attempt.count - 1)
        return { first, idAt: (n) => entryId(this.#key, attempt.seq + n) }
      } catch (error) {
        const failed = link.failure(error)
        const mayPass = failed instanceof LogUnavailable || (attempt.isUnknown && failed instanceof LogBusy)
        if (!mayPass || link.clock.now() >= this.#deadline(sinceMs)) throw this.#givenUp(attempt, failed)
      }
      await pause.wait(UNENDING)
    }
  }

  /**
   * Send the entries and return the first one's index. The statement appends nothing twice, however often it is
   * sent, and even if it arrives late. Rejects if the outcome is not known.
   */
  async #try(attempt: Attempt): Promise<number> {
    const table = this.#table
    const connection = await table.link.writing()
    const wasUnknown = attempt.isUnknown
    const local = connection.localCommits
    attempt.isUnknown = true
    try {
      const [row] = await table.query<{ before: number }>(connection, table.statements.append, attempt.values)
      if (row !== undefined && connection.localCommits === local) {
        table.tell('entries')
        return row.before + 1
      }
      if (row === undefined && !wasUnknown) return await table.notFound()
    } catch (error) {
      // What an earlier try did is not known from the answer to this one.
      if (isAnswer(error) && !wasUnknown) attempt.isUnknown = false
      if (isReadOnly(error)) connection.drop('it takes no writes any more')
      throw error
    }
    return await this.#confirm(attempt, connection)
  }

  /** An earlier try appended the entries, or a standby has not confirmed them. */
  async #confirm({ seq, after }: Attempt, connection: Connection): Promise<number> {
    const table = this.#table
    const { place } = table
    const local = connection.localCommits
    const [row] = await table.query<{ index: number }>(connection, table.statements.confirm, [
      this.#number,
      seq,
      after,
    ])
    if (connection.localCommits !== local)
      throw new LogUnavailable('somebody ended the wait for a standby', { place })
    if (row === undefined) {
      await table.row()
      throw new AppendUncertain('what was sent was lost with a server, or is pruned already', { place })
    }
    table.tell('entries')
    return row.index
  }

  #givenUp({ isUnknown }: Attempt, failed: Error): Error {
    if (!isUnknown || failed instanceof EpochChanged || failed instanceof AppendUncertain) return failed
    const why =
      failed instanceof LogUnavailable
        ? `the servers do not answer (${failed.why})`
        : failed instanceof LogBusy
          ? UNDER_WAY
          : 'it was sent before, and the servers take no more now'
    return new AppendUncertain(why, { place: this.#table.place, cause: failed })
  }

  #deadline(sinceMs: number): number {
    const latest = sinceMs + PATIENCE_MS
    if (this.#closingSinceMs === undefined) return latest
    return Math.min(latest, this.#closingSinceMs + CLOSING_PATIENCE_MS)
  }
}
