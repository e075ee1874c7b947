import type { SQLInputValue, StatementSync } from 'node:sqlite'
import { systemClock } from '../../time/clock.ts'
import { Binding, type Upgrade } from '../binding.ts'
import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX } from '../limits.ts'
import type { LogBounds, LogTail } from '../log.ts'
import type { Presence } from '../presence.ts'
import { type Connection, UPGRADES } from './file.ts'
import { type EntryRow, entryId, type Writer } from './pack.ts'

/** How many entries `probe` looks up, spread over the file, so that damage to more than a few pages shows. */
const PROBES = 64
/**
 * How many entries are counted at once while the file is searched for damage: about a millisecond of work.
 */
const SCAN_ENTRIES = 1_000

/** The statements on an open log, each prepared once. */
export class Queries {
  readonly #connection: Connection
  readonly #prepared = new Map<string, StatementSync>()
  readonly #writers = new Map<number, Writer>()
  /**
   * How many rows the next batch reads. It is learnt from the last batch, so that no rows are read that would
   * not fit when payloads are large.
   */
  #fitting = BATCH_ENTRIES_MAX
  #isProbed = false

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Run `work` on one state of the log: it sees no commit that comes meanwhile. */
  snapshot<T>(work: () => T): T {
    this.#connection.db.exec('BEGIN')
    try {
      return work()
    } finally {
      this.#connection.rollback()
    }
  }

  /** A number that changes when another connection commits. */
  dataVersion(): number {
    return this.#row('PRAGMA data_version')![0] as number
  }

  bounds(): Omit<LogBounds, 'epoch'> {
    return { first: this.#row('SELECT first FROM state')![0] as number, newest: this.newest() }
  }

  newest(): LogTail {
    const row = this.#row('SELECT idx, ts FROM entries ORDER BY idx DESC LIMIT 1') ?? [0, 0]
    const [index, timestampMs] = row as [number, number]
    return { index, timestampMs }
  }

  /**
   * The entries after `after`, up to `upTo` or the size of a batch. Empty if the row of the next entry is
   * missing.
   */
  entries(after: number, upTo: number): EntryRow[] {
    const rows = this.#statement(
      'SELECT idx, ts, writer, seq, kind, length(payload) FROM entries WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?',
    ).all(after, upTo, this.#fitting) as unknown as EntryRow[]
    let count = 0
    let bytes = 0
    for (const [index, , , , , length] of rows) {
      bytes += length
      const isFull = bytes > BATCH_BYTES_MAX && count > 0
      if (isFull || index !== after + count + 1) break
      count++
    }
    const fitting = bytes > BATCH_BYTES_MAX ? Math.max(count, 1) : this.#fitting
    this.#fitting = Math.min(2 * fitting, BATCH_ENTRIES_MAX)
    return rows.slice(0, count)
  }

  /**
   * The payloads of consecutive entries, end to end. Reading them row by row would take several times as
   * long. SQLite keeps the order of the subquery for `group_concat`, and joins blobs byte by byte.
   * `packBatch` checks the sum.
   */
  payloads(first: number, last: number): Uint8Array<ArrayBuffer> {
    return this.#row(
      `SELECT CAST(group_concat(payload, '') AS BLOB)
       FROM (SELECT payload FROM entries WHERE idx BETWEEN ? AND ? ORDER BY idx)`,
      first,
      last,
    )![0] as Uint8Array<ArrayBuffer>
  }

  /** The index of the first row after `after`. */
  next(after: number): number | undefined {
    return this.#row('SELECT idx FROM entries WHERE idx > ? ORDER BY idx LIMIT 1', after)?.[0] as
      | number
      | undefined
  }

  /** The id of the entry at `index`; undefined if its row is gone. */
  idAt(index: number): string | undefined {
    const [writer, seq] = (this.#row('SELECT writer, seq FROM entries WHERE idx = ?', index) ??
      []) as number[]
    return writer === undefined ? undefined : entryId(this.writer(writer).nonce, seq!)
  }

  writer(ref: number): Writer {
    let writer = this.#writers.get(ref)
    if (!writer) {
      const row = this.#row('SELECT nonce, author FROM writers WHERE ref = ?', ref)
      const [nonce, author] = row as [string, string]
      writer = { ref, nonce, author }
      this.#writers.set(ref, writer)
    }
    return writer
  }

  /** The ref of a writer, which is added if it is new. */
  writerRef(nonce: string, author: string): number {
    const select = 'SELECT ref FROM writers WHERE nonce = ?'
    if (this.#row(select, nonce) === undefined)
      this.run('INSERT INTO writers (nonce, author) VALUES (?, ?)', nonce, author)
    return this.#row(select, nonce)![0] as number
  }

  /** The number of pages, the number of free pages, and whether free pages can be given back to the disk. */
  pages(): { readonly all: number; readonly free: number; readonly canBeGivenBack: boolean } {
    const pragma = (name: string) => this.#row(`PRAGMA ${name}`)![0] as number
    const incremental = 2
    return {
      all: pragma('page_count'),
      free: pragma('freelist_count'),
      canBeGivenBack: pragma('auto_vacuum') === incremental,
    }
  }

  /** Give free pages back to the disk, with the next checkpoint. */
  giveBack(pages: number): void {
    this.#connection.db.exec(`PRAGMA incremental_vacuum(${pages})`)
  }

  /**
   * Search the file for damage, once. First look up entries all over the file, which reads every page on the
   * way to each. Then, for `scanMs`, count entries from the newest back. Throws if SQLite finds damage:
   * entries that are appended to such a file may be lost with it.
   */
  probe(scanMs = 0): void {
    if (this.#isProbed) return
    const { first, newest } = this.bounds()
    const step = Math.max(1, (newest.index - first) / (PROBES - 1))
    for (let index = first; index <= newest.index; index += step) this.idAt(Math.round(index))
    const stopMs = systemClock.now() + scanMs
    for (let last = newest.index; last >= first && systemClock.now() < stopMs; last -= SCAN_ENTRIES)
      this.#row('SELECT count(*) FROM entries WHERE idx > ? AND idx <= ?', last - SCAN_ENTRIES, last)
    this.#isProbed = true
  }

  /** Whose log it is. The newest upgrade is enough. */
  binding(): Binding {
    const { group, signature } = this.#connection.meta
    // The table is made with the first note.
    if (this.#row("SELECT 1 FROM sqlite_schema WHERE name = 'upgrades'") === undefined)
      return new Binding(group, signature)
    const newest = this.#row('SELECT idx, signature FROM upgrades ORDER BY idx DESC LIMIT 1')
    if (newest === undefined) return new Binding(group, signature)
    const [at, upgraded] = newest as [number, string]
    return new Binding(group, signature, [{ signature: upgraded, at }])
  }

  noteUpgrade(upgrade: Upgrade): void {
    if (!this.binding().isNews(upgrade)) return
    this.#connection.db.exec(UPGRADES)
    this.run('INSERT INTO upgrades (idx, signature) VALUES (?, ?)', upgrade.at, upgrade.signature)
  }

  /** Have what was committed brought into the file itself, as far as readers let it. */
  bringIn(): void {
    this.#connection.db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  }

  /** How often the presence store was changed. */
  board(): number {
    return this.#row('SELECT board FROM state')![0] as number
  }

  /** All presences, with ages by the machine's wall clock. */
  notices(): Presence[] {
    const now = systemClock.wallNow()
    const rows = this.#statement('SELECT member, data, ttl, at FROM notices ORDER BY member').all() as unknown
    return (rows as [string, Uint8Array, number, number][]).map(([member, data, ttlMs, at]) => ({
      member,
      data,
      ttlMs,
      ageMs: now - at,
      version: at,
    }))
  }

  /** Run a statement that changes rows. Returns how many. */
  run(sql: string, ...parameters: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...parameters).changes)
  }

  #row(sql: string, ...parameters: SQLInputValue[]): unknown[] | undefined {
    return this.#statement(sql).get(...parameters) as unknown[] | undefined
  }

  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql)
    if (!statement) {
      statement = this.#connection.db.prepare(sql)
      statement.setReturnArrays(true)
      this.#prepared.set(sql, statement)
    }
    return statement
  }
}
