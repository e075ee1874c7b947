import { createHash, randomUUID } from 'node:crypto'
import { Binding, keptSignature, type Upgrade } from '../binding.ts'
import { LogClosed, LogMissing, LogUnavailable } from '../errors.ts'
import {
  checkAppend,
  checkCursor,
  checkInit,
  checkPrune,
  checkUpgrade,
  ENTRY_BYTES_DEFAULT,
} from '../limits.ts'
import type {
  Appended,
  Cursor,
  Log,
  LogBatch,
  LogBounds,
  LogConnection,
  LogInit,
  NewEntry,
  SignalOptions,
} from '../log.ts'
import { any } from '../pause.ts'
import type { PresenceStore } from '../presence.ts'
import { Appender } from './appender.ts'
import { Layout } from './layout.ts'
import { Link } from './link.ts'
import { POLL_MS, type PostgresLogOptions, SCHEMA } from './options.ts'
import { PostgresPresenceStore } from './presence-store.ts'
import { Reader } from './reader.ts'
import { type BoundsRow, type ClockRow, type LogRow, Statements } from './statements.ts'
import { Sweeper } from './sweeper.ts'
import { Table } from './table.ts'

/** One handle on a log in PostgreSQL. */
export class PostgresLog implements Log {
  readonly epoch: string
  readonly signature: string
  readonly maxEntryBytes: number
  readonly notices: PresenceStore
  readonly #link: Link
  readonly #table: Table
  readonly #appender: Appender
  readonly #reader: Reader
  readonly #sweeper: Sweeper
  readonly #closing = new AbortController()
  /** The place is put together only for an error. */
  readonly #inMessages: { readonly place: string }
  #binding: Binding
  #closed: Promise<void> | undefined

  static async open(options: PostgresLogOptions, init: LogInit): Promise<Log> {
    init.signal?.throwIfAborted()
    const isWanted = init.create !== false
    const create = options.create !== false && isWanted
    checkInit(init, create)
    const { schema = SCHEMA, log: name = init.group } = options
    const statements = new Statements(schema)
    const channel = channelOf(schema, name)
    const link = new Link(options, `log ${JSON.stringify(name)} in ${schema}`, channel)
    try {
      await link.open(init)
      await link.read(
        (connection) => new Layout(schema, statements, link.place).prepare(connection, { create, isWanted }),
        init,
      )
      const row = await openRow(link, statements, name, create, init)
      const binding = bindingOf(row)
      binding.check(init, { place: link.place })
      const table = new Table({ link, statements, name, channel, log: row.log, epoch: row.epoch.toString() })
      return new PostgresLog(options, init, table, row)
    } catch (error) {
      await link.close()
      throw error
    }
  }

  private constructor(options: PostgresLogOptions, { author }: LogInit, table: Table, row: LogRow) {
    const { pollMs = POLL_MS, maxEntryBytes = ENTRY_BYTES_DEFAULT } = options
    this.epoch = table.epoch
    this.#binding = bindingOf(row)
    this.signature = this.#binding.signature
    this.maxEntryBytes = maxEntryBytes
    const { link } = table
    this.#link = link
    this.#inMessages = {
      get place() {
        return link.place
      },
    }
    this.#table = table
    this.#appender = new Appender(table, author, row.newest)
    this.#reader = new Reader(table, pollMs)
    const closing = this.#closing.signal
    this.#sweeper = new Sweeper(table, closing)
    this.notices = new PostgresPresenceStore({ table, pollMs, maxBytes: maxEntryBytes, closing })
  }

  get connection(): LogConnection {
    return this.#link
  }

  get upgraded(): string | undefined {
    return this.#binding.upgraded
  }

  /** It is not `async`, which would cost each append two more promises. */
  append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    try {
      this.#assertOpen(options)
      checkAppend(entries, this.maxEntryBytes, this.#inMessages)
      return this.#appender.append(entries, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, true, options)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, false, options)
  }

  async bounds(options?: SignalOptions): Promise<LogBounds> {
    this.#assertOpen(options)
    const { first, newest, newest_at } = await this.#bounds(options)
    return { epoch: this.epoch, first, newest: { index: newest, timestampMs: newest_at } }
  }

  async serverTimeMs(options?: SignalOptions): Promise<number> {
    this.#assertOpen(options)
    const table = this.#table
    const [row] = await table.ask<ClockRow>(table.statements.clock, [], options)
    return row === undefined ? await table.notFound(options) : row.now_ms
  }

  async prune(upTo: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    checkPrune(upTo, (await this.#bounds(options)).newest)
    const rows = await this.#table.change(this.#table.statements.prune, [upTo], options)
    if (rows.length === 0) checkPrune(upTo, (await this.#bounds(options)).newest)
    this.#sweeper.sweep()
  }

  async noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    checkUpgrade({ signature, at })
    const { statements } = this.#table
    // Others may note something in the same moment.
    for (;;) {
      const row = await this.#table.row(options)
      const noted = bindingOf(row).noted({ signature, at })
      this.#binding = noted
      const upgrades = encodeUpgrades(noted.upgrades)
      if (upgrades.equals(row.upgrades)) return
      const rows = await this.#table.change(statements.upgrade, [upgrades, row.upgrades], options)
      if (rows.length > 0) return
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    await this.#appender.close()
    await this.#link.close()
  }

  async *#batches(
    cursor: Cursor,
    follows: boolean,
    { signal }: SignalOptions = {},
  ): AsyncGenerator<LogBatch> {
    if (signal?.aborted) return
    this.#assertOpen()
    yield* this.#reader.batches(cursor, follows, any(signal, this.#closing.signal))
  }

  async #bounds(options?: SignalOptions): Promise<BoundsRow> {
    const table = this.#table
    const [row] = await table.ask<BoundsRow>(table.statements.bounds, [], options)
    if (row !== undefined) return row
    return await table.notFound(options)
  }

  #assertOpen({ signal }: SignalOptions = {}): void {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
  }
}

/** The log's row, made if there is none. */
async function openRow(
  link: Link,
  statements: Statements,
  name: string,
  create: boolean,
  init: LogInit,
): Promise<LogRow> {
  const nameBytes = Buffer.from(name)
  const find = async () =>
    (await link.read((connection) => connection.query<LogRow>(statements.find, [nameBytes]), init))[0]
  const found = await find()
  if (found !== undefined) return found
  if (!create) throw new LogMissing(link.place)
  const values = [init.group, randomUUID(), keptSignature(init.signature!, init)].map((text) =>
    Buffer.from(text),
  )
  await link.read(
    (connection) => connection.query(statements.make, [nameBytes, ...values, encodeUpgrades([])]),
    init,
  )
  // If another made it at the same time, it is the other's.
  const made = await find()
  if (made === undefined)
    throw new LogUnavailable('the log was removed in this moment', { place: link.place })
  return made
}

function bindingOf({ group_name, signature, upgrades }: LogRow): Binding {
  return new Binding(group_name.toString(), signature.toString(), JSON.parse(upgrades.toString()))
}

function encodeUpgrades(upgrades: readonly Upgrade[]): Buffer {
  return Buffer.from(JSON.stringify(upgrades))
}

/** The channel on which writers tell of changes. The server takes at most 63 bytes. */
function channelOf(schema: string, name: string): string {
  const hash = createHash('sha256').update(`${schema} ${name}`).digest('hex')
  return `anchorage_${hash.slice(0, 32)}`
}
