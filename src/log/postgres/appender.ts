import { randomBytes } from 'node:crypto'
import { AppendQueue, type Committed } from '../append-queue.ts'
import { AppendUncertain, EpochChanged, LogBusy, LogUnavailable } from '../errors.ts'
import { ENTRY_BYTES_MAX } from '../limits.ts'
import type { Appended, NewEntry, SignalOptions } from '../log.ts'
import { Pause } from '../pause.ts'
import { byteaArray } from './bytea-array.ts'
import type { Connection } from './connection.ts'
import { isAnswer, isReadOnly } from './failures.ts'
import { entryId, KINDS } from './page.ts'
import type { BoundsRow } from './statements.ts'
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

/** Entries that are appended together, and what is known of them. */
class Attempt {
  readonly count: number
  readonly largest: number
  readonly kinds: Uint8Array
  readonly payloads: Buffer
  /** The number of the first entry. Each later number of the handle is greater. */
  seq: number
  /** The entries are after this index, if they are in the log. */
  readonly after: number
  /** Resolves when the append before this one has settled. */
  readonly before: Promise<void>
  /** They were sent, and it is unknown whether they were committed. */
  isUnknown = false
  wasTried = false

  constructor(entries: readonly NewEntry[], seq: number, after: number, before: Promise<void>) {
    this.count = entries.length
    this.kinds = new Uint8Array(entries.length)
    let largest = 0
    for (const [n, { kind, payload }] of entries.entries()) {
      if (kind !== 'command') this.kinds[n] = KINDS.indexOf(kind)
      if (payload.byteLength > largest) largest = payload.byteLength
    }
    this.largest = largest
    this.payloads = byteaArray(entries)
    this.seq = seq
    this.after = after
    this.before = before
  }
}

/** Where entries are in the log, and their time. */
interface Found {
  readonly first: number
  readonly atMs: number
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
  /** Resolves when the newest append has settled, and all before it. */
  #settled: Promise<void> = Promise.resolve()
  /** Where the newest append was sent. */
  #connection: Connection | undefined
  #seq = 0
  /** The log's newest index when this handle appended last, or opened it. */
  #newest: number
  #closingSinceMs: number | undefined

  /** @param newest the log's newest index when it was opened */
  constructor(table: Table, author: string, newest: number) {
    this.#table = table
    this.#newest = newest
    this.#author = Buffer.from(author)
    const writer = randomBytes(8)
    this.#key = writer.toString('hex')
    this.#number = writer.readBigInt64BE()
  }

  /** Throws `RangeError` for more than one append may have. */
  append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    // Fewer entries of any size are no more than that.
    if (entries.length * ENTRY_BYTES_MAX > APPEND_BYTES_MAX) checkBytesOf(entries)
    return this.#queue.append(entries, options)
  }

  /** Resolves when every append has settled. */
  async close(): Promise<void> {
    this.#closingSinceMs = this.#table.link.clock.now()
    this.#queue.handOverAll()
    await this.#settled
  }

  #commit(entries: readonly NewEntry[]): Promise<Committed> {
    const before = this.#settled
    const attempt = new Attempt(entries, this.#numbers(entries.length), this.#newest, before)
    const committed = this.#append(attempt)
    this.#settled = committed.then(
      () => before,
      () => before,
    )
    return committed
  }

  /** So many numbers that are never used again. Returns the first. */
  #numbers(count: number): number {
    const seq = this.#seq
    this.#seq += count
    return seq
  }

  /** Try until the outcome is known, or for as long as there is patience. */
  async #append(attempt: Attempt): Promise<Committed> {
    const { link } = this.#table
    const sinceMs = link.clock.now()
    const pause = new Pause()
    for (;;) {
      try {
        const found = await this.#try(attempt)
        if (found === undefined) continue
        const { first, atMs } = found
        this.#newest = Math.max(this.#newest, first + attempt.count - 1)
        return { first, idAt: (n) => entryId(this.#key, attempt.seq + n, atMs) }
      } catch (error) {
        const failed = link.failure(error)
        const mayPass = failed instanceof LogUnavailable || (attempt.isUnknown && failed instanceof LogBusy)
        if (!mayPass || link.clock.now() >= this.#deadline(sinceMs)) throw this.#givenUp(attempt, failed)
      }
      await pause.wait(UNENDING)
    }
  }

  /**
   * Send the entries and return where they are. The statement appends nothing twice, however often it is
   * sent, and even if it arrives late. Returns undefined if they are certainly not in the log. Rejects if that is
   * not known, or another try may not help.
   */
  async #try(attempt: Attempt): Promise<Found | undefined> {
    const table = this.#table
    const connection = await this.#connectionFor(attempt)
    const { isUnknown, seq, count, largest, kinds, payloads } = attempt
    const values = [this.#number, this.#author, seq, count, largest, kinds, payloads]
    const local = connection.localCommits
    attempt.isUnknown = true
    try {
      const [row] = await table.query<{ before: number; at: number }>(
        connection,
        table.statements.append,
        values,
      )
      if (row !== undefined && connection.localCommits === local) {
        table.tell('entries')
        return { first: row.before + 1, atMs: row.at }
      }
      if (row === undefined && !isUnknown) return await table.notFound()
    } catch (error) {
      // What an earlier try did is not known from the answer to this one.
      if (isAnswer(error) && !isUnknown) this.#renumber(attempt)
      if (isReadOnly(error)) connection.drop('it takes no writes any more')
      throw error
    }
    return await this.#confirm(attempt, connection)
  }

  /**
   * The connection on which to send the entries. The server does in order what is sent on one. Otherwise the
   * append before comes first.
   */
  async #connectionFor(attempt: Attempt): Promise<Connection> {
    const connection = await this.#table.link.writing()
    if (attempt.wasTried || connection !== this.#connection) await attempt.before
    attempt.wasTried = true
    this.#connection = connection
    return connection
  }

  /** An earlier try may have appended the entries, or a standby has not confirmed them. */
  async #confirm(attempt: Attempt, connection: Connection): Promise<Found | undefined> {
    const table = this.#table
    const { place } = table
    const { seq, after } = attempt
    const local = connection.localCommits
    const find = async (beyond: number) => {
      const values = [this.#number, seq, beyond]
      return (
        await table.query<{ index: number; at: number }>(connection, table.statements.confirm, values)
      )[0]
    }
    // A promoted server may have lost entries, or a backup was restored: then it is further back.
    const found = (await find(after)) ?? (await find(0))
    if (connection.localCommits !== local)
      throw new LogUnavailable('somebody ended the wait for a standby', { place })
    if (found !== undefined) {
      table.tell('entries')
      return { first: found.index, atMs: found.at }
    }
    const [bounds] = await table.query<BoundsRow>(connection, table.statements.bounds, [])
    if (bounds === undefined) return await table.notFound()
    if (bounds.first > after + 1) throw new AppendUncertain('what was sent may be pruned already', { place })
    this.#renumber(attempt)
    return undefined
  }

  /** Nothing was appended under these numbers. Later appends may have been, so they can be used no more. */
  #renumber(attempt: Attempt): void {
    attempt.seq = this.#numbers(attempt.count)
    attempt.isUnknown = false
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

function checkBytesOf(entries: readonly NewEntry[]): void {
  const bytes = entries.reduce((sum, { payload }) => sum + payload.byteLength, 0)
  if (bytes <= APPEND_BYTES_MAX) return
  throw new RangeError(`one append has ${bytes} bytes; give at most ${APPEND_BYTES_MAX}, or several appends`)
}
