import { randomBytes } from 'node:crypto'
import { setTimeout as delay, setImmediate as yieldToMessages } from 'node:timers/promises'
import { asError } from '../../thrown.ts'
import { systemClock } from '../../time/clock.ts'
import { AppendUncertain, LogBusy, LogUnusable } from '../errors.ts'
import { checkPrune } from '../limits.ts'
import type { Appended } from '../log.ts'
import { isFresh, Sightings } from '../presence.ts'
import { failure, reason } from './failure.ts'
import { Connection } from './file.ts'
import { CLOSING_PATIENCE_MS, whenFree } from './lock.ts'
import { type PackedAppend, unpackAppend } from './pack.ts'
import type { Port } from './port.ts'
import type { AppendRequest, CallValue, ThreadInit, WriterRequest } from './protocol.ts'
import { Queries } from './queries.ts'
import type { Reader } from './reader.ts'

/**
 * The length of one transaction that deletes pruned rows, in milliseconds. Others wait that long for the
 * lock, and this handle's reads do.
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
 * How long the file is searched for damage before a connection's first append, in milliseconds. That covers a
 * whole pruned log, and a part of others.
 */
const PROBE_SCAN_MS = 20

/**
 * How long a transaction stays open for entries that gather in the main thread, in milliseconds. They come
 * before the end of its turn, but the turn may be long, and others wait for the lock, and this handle's reads.
 */
const GATHER_MS_MAX = 2
/** The pause between two looks for such entries, in milliseconds: the main thread appends 100 in that time. */
const GATHER_POLL_MS = 0.05
/** An append that comes this soon after a reply, in milliseconds, is by a caller who awaited that reply. */
const SOON_MS = 0.2
/** Never notified: waiting on it is a pause. */
const NOTHING = new Int32Array(new SharedArrayBuffer(4))

/** The most rows of one statement. Running a statement costs as much as several rows. */
const INSERT_ROWS_MAX = 16
/**
 * Insert statements by their number of rows. Parameters: the first row's seq, then ts, writer and kind of all
 * rows, then the payload of each. SQLite counts idx on from the newest row, which is always kept. To be given
 * an idx takes it a search for that row.
 */
const INSERTS = Array.from({ length: INSERT_ROWS_MAX + 1 }, (_, count) => {
  const rows = Array.from({ length: count }, (_, n) => `(NULL, ?2, ?3, ?1 + ${n}, ?4, ?${n + 5})`)
  return `INSERT INTO entries VALUES ${rows.join(', ')}`
})

interface Append extends AppendRequest {
  readonly call: number
  readonly sinceMs: number
}

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

interface WriterInit extends ThreadInit {
  readonly epoch: string
  readonly port: Port
  /** It is told of each commit, and need not wait until the file's watch reports it. */
  readonly reader: Reader
}

/** Serves a handle's writes, one transaction after the other, in its thread. */
export class Writer {
  readonly #init: WriterInit
  readonly #port: Port
  /** This handle's name in the file. An entry's id is the nonce and a number that is never used twice. */
  readonly #nonce = randomBytes(8).toString('hex')
  readonly #sightings = new Sightings()
  readonly #poll: NodeJS.Timeout
  #sequence = 0
  /** Appends that are not settled, in their order. */
  #appends: Append[] = []
  #isAppending = false
  #repliedMs = Number.NEGATIVE_INFINITY
  /** The last append came soon after a reply, so the next one may, too. */
  #isNextSoon = false
  #log: OpenLog | undefined
  #lastJob: Promise<unknown> = Promise.resolve()
  #isSweeping = false
  #isClosing = false

  constructor(init: WriterInit) {
    this.#init = init
    this.#port = init.port
    this.#poll = setInterval(() => void this.#enqueue(async () => this.#checkFile()), init.pollMs)
    // The last process to prune may have ended before every row was deleted.
    void this.#sweep()
  }

  begin(call: number, request: WriterRequest): void {
    const sinceMs = systemClock.now()
    if (request.type === 'append') {
      this.#isNextSoon = sinceMs < this.#repliedMs + SOON_MS
      this.#appends.push({ call, ...request, sinceMs })
      if (!this.#isAppending) void this.#enqueue(() => this.#appendNext())
      this.#isAppending = true
      return
    }
    this.#enqueue(() => this.#execute(request, sinceMs)).then(
      (value) => {
        this.#port.value(call, value)
        this.#init.reader.look()
      },
      (error: unknown) => this.#port.error(call, error),
    )
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#lastJob.then(job)
    this.#lastJob = result.catch(() => undefined)
    return result
  }

  async #execute(request: Exclude<WriterRequest, AppendRequest>, sinceMs: number): Promise<unknown> {
    switch (request.type) {
      case 'prune':
        await this.#repeatable((queries) => moveFirst(queries, request.upTo), sinceMs)
        void this.#sweep()
        return undefined
      case 'noteUpgrade':
        await this.#repeatable((queries) => queries.noteUpgrade(request.upgrade), sinceMs)
        this.#bringIn()
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

  /** Who opens a file looks for its version there alone. */
  #bringIn(): void {
    try {
      this.#log?.queries.bringIn()
    } catch (error) {
      throw failure(this.#init.path, 'the note is in the -wal, and did not get into the file itself', error)
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

  /**
   * One transaction. Later appends take their turn behind other requests, and after as long a time for reads: a stream
   * gets fewer entries at a time than a transaction may hold.
   */
  async #appendNext(): Promise<void> {
    const beginMs = systemClock.now()
    try {
      const values = await this.#appendSome()
      this.#appends.splice(0, values.length)
      this.#port.values(values)
      this.#repliedMs = systemClock.now()
      this.#init.reader.look()
    } catch (error) {
      // Of those that follow, none was written either.
      const last = this.#appends.findIndex(({ isMoreToCome }) => !isMoreToCome)
      for (const { call } of this.#appends.splice(0, last + 1 || this.#appends.length))
        this.#port.error(call, error)
    }
    const endMs = systemClock.now()
    while (this.#init.reader.isSending && systemClock.now() < 2 * endMs - beginMs) await yieldToMessages()
    this.#isAppending = this.#appends.length > 0
    if (this.#isAppending) void this.#enqueue(() => this.#appendNext())
    else if (this.#isNextSoon) this.#stayAwake()
  }

  /** Write the appends of one transaction. */
  async #appendSome(): Promise<CallValue[]> {
    try {
      return await this.#transaction((queries) => {
        queries.probe(PROBE_SCAN_MS)
        return this.#insertSome(queries)
      }, this.#appends[0]!.sinceMs)
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error
      throw new AppendUncertain(error.why, { place: this.#init.path, cause: error.cause })
    }
  }

  /** Do not sleep before the next append: being woken takes a third as long as a commit. */
  #stayAwake(): void {
    if (this.#isAppending || systemClock.now() > this.#repliedMs + SOON_MS) return
    setImmediate(() => this.#stayAwake())
  }

  #insertSome(queries: Queries): CallValue[] {
    const stopMs = systemClock.now() + GATHER_MS_MAX
    const values: CallValue[] = []
    for (let append = this.#appends[0]; append; append = this.#nextAppend(values.length, stopMs)) {
      values.push([append.call, this.#insert(queries, append.entries)])
      if (!append.isMoreToCome) break
    }
    return values
  }

  /** The append at a place in the queue. It may come until `stopMs`: it is gathered in the main thread. */
  #nextAppend(at: number, stopMs: number): Append | undefined {
    while (this.#appends.length <= at && systemClock.now() < stopMs) {
      if (!this.#port.receiveNext()) Atomics.wait(NOTHING, 0, 0, GATHER_POLL_MS)
    }
    return this.#appends[at]
  }

  #insert(queries: Queries, entries: PackedAppend): Appended {
    const last = queries.newest().index
    const now = systemClock.wallNow()
    const writer = queries.writerRef(this.#nonce, this.#init.author)
    let index = last
    for (const { kind, payloads } of unpackAppend(entries, INSERT_ROWS_MAX)) {
      const insert = INSERTS[payloads.length]!
      queries.run(insert, this.#sequence + 1, now, writer, kind, ...payloads)
      index += payloads.length
      this.#sequence += payloads.length
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
        // It has the lock, if it cannot be told what is at the path.
        connection.rollback()
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
    let isCurrent: boolean
    try {
      isCurrent = connection.isCurrent()
    } catch (cause) {
      throw new OutcomeUnknown(connection.path, asError(cause).message, cause)
    }
    if (!isCurrent)
      throw new OutcomeUnknown(connection.path, 'it was deleted or replaced while it was written')
  }

  #open(): OpenLog {
    const connection = Connection.reopen(this.#init.path, this.#init.epoch, 'write')
    return { connection, queries: new Queries(connection) }
  }

  /** Let go of a file, a -wal or a -shm that was taken away: others wait for that. */
  #checkFile(): void {
    try {
      if (this.#log === undefined || this.#log.connection.isCurrent()) return
      this.#log.connection.retire()
      this.#log = undefined
    } catch {
      // The next write will report what is wrong with it.
    }
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

  /** Settle all requests, and close the file. */
  async close(): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#poll)
    // Each transaction of appends enqueues the next.
    while (this.#isAppending) await this.#lastJob
    await this.#enqueue(async () => {
      await this.#log?.connection.end()
      this.#log = undefined
    })
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
