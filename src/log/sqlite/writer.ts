import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../time/clock.ts'
import { AppendUncertain, LogBusy, LogUnusable } from '../errors.ts'
import { checkPrune } from '../limits.ts'
import type { Appended } from '../log.ts'
import { isFresh, Sightings } from '../presence.ts'
import { Connection, failure, reason } from './file.ts'
import { whenFree } from './lock.ts'
import { type PackedAppend, unpackAppend } from './pack.ts'
import { Port } from './port.ts'
import type { Message, WriterInit, WriterRequest } from './protocol.ts'
import { Queries } from './queries.ts'

/** How long a writer that is being closed waits for a lock, in milliseconds. */
const CLOSING_PATIENCE_MS = 250
/**
 * The length of one transaction that deletes pruned rows, in milliseconds. Others wait that long for the
 * lock.
 */
const SWEEP_SLICE_MS = 5
/**
 * The part of the file that may be empty pages, for later entries. Further ones are given back to the disk.
 * With this reserve, a log that is pruned all the time does not shrink and grow in turns.
 */
const FREE_PAGES_SHARE = 1 / 4
/** The number of empty pages that a file may have in any case: 4 MiB. */
const FREE_PAGES_MIN = 1024
/** The pause between two such transactions, in milliseconds. Others get the lock and the disk meanwhile. */
const SWEEP_PAUSE_MS = 5

/**
 * How long the file is searched for damage before this thread's first append, in milliseconds. That covers a
 * whole pruned log, and a part of others.
 */
const PROBE_SCAN_MS = 20

/** The most rows of one statement. Running a statement costs as much as several rows. */
const INSERT_ROWS_MAX = 8
/**
 * Insert statements by their number of rows. Parameters: the first row's idx and seq, then ts and writer,
 * then kind and payload of each row.
 */
const INSERTS = Array.from({ length: INSERT_ROWS_MAX + 1 }, (_, count) => {
  const rows = Array.from(
    { length: count },
    (_, n) => `(?1 + ${n}, ?3, ?4, ?2 + ${n}, ?${2 * n + 5}, ?${2 * n + 6})`,
  )
  return `INSERT INTO entries VALUES ${rows.join(', ')}`
})

interface OpenLog {
  readonly connection: Connection
  readonly queries: Queries
}

/** COMMIT was issued, and its outcome is unknown. */
class OutcomeUnknown extends LogUnusable {
  readonly why: string
  constructor(path: string, why: string, cause?: unknown) {
    super(why, { place: path, cause })
    this.why = why
  }
}

/** Serves a handle's writes, one transaction after the other, in a thread of its own. */
class Writer {
  readonly #init: WriterInit
  readonly #port = new Port<WriterRequest>()
  /** This handle's name in the file. An entry's id is the nonce and a number that is never used twice. */
  readonly #nonce = randomBytes(8).toString('hex')
  readonly #sightings = new Sightings()
  #sequence = 0
  #log: OpenLog | undefined
  #lastJob: Promise<unknown> = Promise.resolve()
  #isSweeping = false
  #isClosing = false

  constructor(init: WriterInit) {
    this.#init = init
    this.#port.listen((message) => this.#receive(message))
    // The last process to prune may have ended before every row was deleted.
    void this.#sweep()
  }

  #receive(message: Message<WriterRequest>): void {
    if (message.type === 'close') void this.#close()
    if (message.type !== 'request') return
    const { call, request } = message
    const sinceMs = systemClock.now()
    this.#enqueue(() => this.#execute(request, sinceMs)).then(
      (value) => this.#port.value(call, value),
      (error: unknown) => this.#port.error(call, error),
    )
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#lastJob.then(job)
    this.#lastJob = result.catch(() => undefined)
    return result
  }

  async #execute(request: WriterRequest, sinceMs: number): Promise<unknown> {
    switch (request.type) {
      case 'append':
        return this.#append(request.entries, sinceMs)
      case 'prune':
        await this.#repeatable((queries) => moveFirst(queries, request.upTo), sinceMs)
        void this.#sweep()
        return undefined
      case 'noteUpgrade':
        await this.#repeatable((queries) => queries.noteUpgrade(request.upgrade), sinceMs)
        // Who opens a file looks for its version there alone.
        this.#log?.queries.bringIn()
        return undefined
      case 'announce':
        return this.#repeatable((queries) => this.#announce(queries, request), sinceMs)
      case 'withdraw':
        return this.#repeatable((queries) => {
          if (queries.run('DELETE FROM notices WHERE member = ?', request.member) > 0)
            queries.run('UPDATE state SET board = board + 1')
        }, sinceMs)
      default:
        return request satisfies never
    }
  }

  /** Write a presence. Presences that have not changed for longer than their TTL are removed on the way. */
  #announce(queries: Queries, { member, data, ttlMs }: Extract<WriterRequest, { type: 'announce' }>): void {
    const notices = this.#sightings.look(queries.notices(), systemClock.now())
    for (const notice of notices) {
      if (!isFresh(notice)) queries.run('DELETE FROM notices WHERE member = ?', notice.member)
    }
    // The time is the presence's version, so it must grow: within one millisecond too, and after the clock
    // was set back.
    const before = notices.find((notice) => notice.member === member)?.version ?? Number.NEGATIVE_INFINITY
    const at = Math.max(systemClock.wallNow(), before + 1)
    queries.run('REPLACE INTO notices VALUES (?, ?, ?, ?)', member, data, ttlMs, at)
    queries.run('UPDATE state SET board = board + 1')
  }

  async #append(entries: PackedAppend, sinceMs: number): Promise<Appended> {
    try {
      return await this.#transaction((queries) => {
        queries.probe(PROBE_SCAN_MS)
        return this.#insert(queries, entries)
      }, sinceMs)
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error
      throw new AppendUncertain(error.why, { place: this.#init.path, cause: error.cause })
    }
  }

  #insert(queries: Queries, entries: PackedAppend): Appended {
    const { index: last } = queries.bounds().newest
    const now = systemClock.wallNow()
    const writer = queries.writerRef(this.#nonce, this.#init.author)
    const values = unpackAppend(entries)
    let index = last
    for (let at = 0; at < values.length; at += 2 * INSERT_ROWS_MAX) {
      const some = values.slice(at, at + 2 * INSERT_ROWS_MAX)
      const count = some.length / 2
      queries.run(INSERTS[count]!, index + 1, this.#sequence + 1, now, writer, ...some)
      index += count
      this.#sequence += count
    }
    return { first: last + 1, last: index }
  }

  /** Run a transaction that may be repeated. If its outcome is unknown, it is run again. */
  async #repeatable(work: (queries: Queries) => void, sinceMs: number): Promise<void> {
    try {
      await this.#transaction(work, sinceMs)
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error
      await this.#transaction(work, sinceMs)
    }
  }

  /**
   * Run a transaction. Rejects with `OutcomeUnknown` if COMMIT was issued. After any other error nothing was
   * written.
   */
  #transaction<T>(
    work: (queries: Queries) => T,
    sinceMs: number,
    patienceMs = this.#init.lockTimeoutMs,
  ): Promise<T> {
    const attempt = (): T => {
      const { connection, queries } = this.#lock()
      let result: T
      try {
        result = work(queries)
      } catch (error) {
        connection.rollback()
        throw failure(connection.path, 'writing failed and left nothing behind', error)
      }
      this.#commit(connection)
      return result
    }
    return whenFree(
      this.#init.path,
      attempt,
      () => (this.#isClosing ? Math.min(patienceMs, CLOSING_PATIENCE_MS) : patienceMs),
      sinceMs,
    )
  }

  /** Take the write lock of the file that is at the path. */
  #lock(): OpenLog {
    for (;;) {
      this.#log ??= this.#open()
      const { connection } = this.#log
      try {
        connection.db.exec('BEGIN IMMEDIATE')
        if (connection.isCurrent()) return this.#log
      } catch (error) {
        if (connection.isCurrent()) throw failure(connection.path, 'writing failed', error)
      }
      connection.retire()
      this.#log = undefined
    }
  }

  #commit(connection: Connection): void {
    try {
      connection.db.exec('COMMIT')
    } catch (cause) {
      this.#drop()
      const { path } = connection
      throw new OutcomeUnknown(path, `committing failed: ${reason(path, cause)}`, cause)
    }
    if (!connection.isCurrent())
      throw new OutcomeUnknown(connection.path, 'it was deleted or replaced while it was written')
  }

  #open(): OpenLog {
    const connection = Connection.reopen(this.#init.path, this.#init.epoch, 'write')
    return { connection, queries: new Queries(connection) }
  }

  #drop(): void {
    this.#log?.connection.close()
    this.#log = undefined
  }

  /**
   * Delete the rows of pruned entries and shrink the file, in slices. Requests have their turn between two
   * slices.
   */
  async #sweep(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    while (this.#isSweeping && !this.#isClosing) {
      await this.#enqueue(() => this.#sweepSlice())
      await delay(SWEEP_PAUSE_MS)
    }
    // The file gets shorter only when a checkpoint has written its end.
    await this.#enqueue(async () => this.#checkpoint())
  }

  async #sweepSlice(): Promise<void> {
    try {
      this.#isSweeping = await this.#transaction(sweepSome, systemClock.now(), 0)
    } catch (error) {
      // A busy log is swept later. Any other error is reported by the next write, and the next prune sweeps
      // again.
      this.#isSweeping = error instanceof LogBusy
    }
  }

  #checkpoint(): void {
    try {
      this.#log?.connection.db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    } catch {
      // The next commits will do it.
    }
  }

  async #close(): Promise<void> {
    this.#isClosing = true
    await this.#enqueue(async () => this.#drop())
    this.#port.close()
  }
}

function moveFirst(queries: Queries, upTo: number): void {
  const { first, newest } = queries.bounds()
  checkPrune(upTo, newest.index)
  if (upTo >= first) queries.run('UPDATE state SET first = ?', upTo + 1)
}

/** Deletes pruned rows for a while, then gives empty pages back. Returns whether there is more to do. */
function sweepSome(queries: Queries): boolean {
  const stopMs = systemClock.now() + SWEEP_SLICE_MS
  return deleteSome(queries, stopMs) || shrinkSome(queries, stopMs)
}

function deleteSome(queries: Queries, stopMs: number): boolean {
  const { first, newest } = queries.bounds()
  const end = Math.min(first, newest.index)
  for (let rows = 1; systemClock.now() < stopMs; rows *= 2) {
    const lowest = queries.next(0)
    if (lowest === undefined || lowest >= end) return false
    queries.run('DELETE FROM entries WHERE idx < ?', Math.min(lowest + rows, end))
  }
  return true
}

function shrinkSome(queries: Queries, stopMs: number): boolean {
  for (let some = 1; ; some *= 2) {
    const { all, free, canBeGivenBack } = queries.pages()
    const tooMany = free - Math.max(FREE_PAGES_MIN, Math.ceil(all * FREE_PAGES_SHARE))
    if (tooMany <= 0 || !canBeGivenBack) return false
    if (systemClock.now() >= stopMs) return true
    queries.giveBack(Math.min(some, tooMany))
  }
}

new Writer(workerData as WriterInit)
