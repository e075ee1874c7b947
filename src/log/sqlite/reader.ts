import { setImmediate as yieldToMessages } from 'node:timers/promises'
import { keptSignature } from '../binding.ts'
import { LogRewound, LogTruncated } from '../errors.ts'
import type { Cursor, LogBounds } from '../log.ts'
import { CommitWatch } from './commit-watch.ts'
import { failure } from './failure.ts'
import { assertFile, Connection, makeFile } from './file.ts'
import { CLOSING_PATIENCE_MS, whenFree } from './lock.ts'
import { entryId, type PackedBatch, packBatch } from './pack.ts'
import type { Port } from './port.ts'
import {
  type Opened,
  type OpenInit,
  PREFETCH_ITEMS,
  type ReaderRequest,
  type ThreadInit,
} from './protocol.ts'
import { Queries } from './queries.ts'

interface Stream {
  readonly call: number
  /** How many items the consumer has room for. */
  credit: number
  /** There may be an item that was not sent yet. */
  isBehind: boolean
  /** The connection that the last item came from. */
  source: Connection | undefined
}

interface EntryStream extends Stream {
  readonly type: 'entries'
  readonly follow: boolean
  cursor: Cursor
  /** The index of the last entry to send. Undefined until it is known. */
  until: number | undefined
}

interface BoardStream extends Stream {
  readonly type: 'board'
  /** The count of the presence store's changes at the last item. */
  seen: number | undefined
}

interface OpenLog {
  readonly connection: Connection
  readonly queries: Queries
  readonly watch: CommitWatch
}

/** Serves a handle's reads, in its thread. */
export class Reader {
  readonly #init: ThreadInit
  readonly #port: Port
  readonly #streams = new Map<number, EntryStream | BoardStream>()
  readonly #running = new Set<Promise<void>>()
  readonly #poll: NodeJS.Timeout
  #log: OpenLog | undefined
  /** Undefined until the log was opened for the first time. */
  #epoch: string | undefined
  #dataVersion: number | undefined
  #isPumping = false
  #isClosing = false

  constructor(init: ThreadInit, port: Port) {
    this.#init = init
    this.#port = port
    this.#epoch = init.epoch
    this.#poll = setInterval(() => this.#checkFile(), init.pollMs)
  }

  /** The log's, once it was opened. */
  get epoch(): string {
    return this.#epoch!
  }

  /** Whether streams with credit wait for items. */
  get isSending(): boolean {
    return this.#isPumping
  }

  /** A stream's consumer has room for one more item. */
  credit(call: number): void {
    const stream = this.#streams.get(call)
    if (stream) stream.credit++
    this.#pump()
  }

  cancel(call: number): void {
    this.#streams.delete(call)
  }

  begin(call: number, request: ReaderRequest): void {
    const stream = { call, credit: PREFETCH_ITEMS, isBehind: true, source: undefined }
    switch (request.type) {
      case 'open':
        this.#answer(call, this.#open(request.init))
        break
      case 'bounds':
        this.#answer(
          call,
          this.#ask((queries): LogBounds => {
            queries.probe()
            return { epoch: this.#epoch!, ...queries.bounds() }
          }),
        )
        break
      case 'upgraded':
        this.#answer(
          call,
          this.#ask((queries) => queries.binding().upgraded),
        )
        break
      case 'notices':
        this.#answer(
          call,
          this.#ask((queries) => queries.notices()),
        )
        break
      case 'entries':
        this.#streams.set(call, {
          ...stream,
          type: 'entries',
          follow: request.follow,
          cursor: request.cursor,
          until: undefined,
        })
        this.#pump()
        break
      case 'board':
        this.#streams.set(call, { ...stream, type: 'board', seen: undefined })
        this.#pump()
        break
      default:
        request satisfies never
    }
  }

  async #open(init: OpenInit): Promise<Opened> {
    const { path } = this.#init
    const { group, signature, create } = init
    if (create && signature !== undefined) makeFile(path, group, keptSignature(signature, init))
    else assertFile(path)
    this.#use(await this.#whenFree(() => Connection.open(path, group)))
    this.#epoch = this.#log!.connection.meta.epoch
    const binding = await this.#ask((queries) => queries.binding())
    binding.check(init, { place: path })
    return { epoch: this.#epoch, signature: binding.signature, upgraded: binding.upgraded }
  }

  #answer(call: number, answer: Promise<unknown>): void {
    this.#run(
      answer.then(
        (value) => this.#port.value(call, value),
        (error: unknown) => this.#port.error(call, error),
      ),
    )
  }

  #run(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Send the streams with credit what they have not got yet, in turn, one item each. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    this.#run(this.#sendAll())
  }

  async #sendAll(): Promise<void> {
    for (let stream = this.#nextStream(); stream; stream = this.#nextStream()) {
      try {
        stream.isBehind = false
        await (stream.type === 'entries' ? this.#sendEntries(stream) : this.#sendBoard(stream))
      } catch (error) {
        if (this.#streams.delete(stream.call)) this.#port.error(stream.call, error)
      }
      await yieldToMessages()
    }
    // Not a microtask later: the next message may be received in this turn.
    this.#isPumping = false
  }

  #nextStream(): EntryStream | BoardStream | undefined {
    for (const [call, stream] of this.#streams) {
      if (stream.credit === 0 || !stream.isBehind) continue
      this.#streams.delete(call)
      this.#streams.set(call, stream)
      return stream
    }
    return undefined
  }

  async #sendEntries(stream: EntryStream): Promise<void> {
    const { batch, cursor, until, newest, source } = await this.#ask((queries, connection) =>
      entriesFor(stream, queries, connection),
    )
    if (!this.#streams.has(stream.call)) return
    stream.source = source
    stream.until = until
    stream.cursor = cursor
    stream.isBehind ||= cursor.index < newest
    if (batch) {
      stream.credit--
      this.#port.item(stream.call, batch, [batch.columns.buffer, batch.payload.buffer])
    }
    if (cursor.index >= until) this.#finish(stream)
  }

  async #sendBoard(stream: BoardStream): Promise<void> {
    const { seen, notices, source } = await this.#ask((queries, connection) => {
      const changes = queries.board()
      const isNew = changes !== stream.seen || connection !== stream.source
      return { seen: changes, notices: isNew ? queries.notices() : undefined, source: connection }
    })
    if (!this.#streams.has(stream.call)) return
    stream.source = source
    stream.seen = seen
    if (!notices) return
    stream.credit--
    this.#port.item(stream.call, notices)
  }

  #finish({ call }: Stream): void {
    this.#streams.delete(call)
    this.#port.value(call)
  }

  /** Ask the file that is at the path. The answer counts only if the same file is still there afterwards. */
  #ask<T>(question: (queries: Queries, connection: Connection) => T): Promise<T> {
    return this.#whenFree(() => {
      for (;;) {
        const { queries, connection } =
          this.#log ?? this.#use(Connection.reopen(this.#init.path, this.#epoch!, 'read'))
        try {
          const answer = queries.snapshot(() => question(queries, connection))
          if (connection.isCurrent()) return answer
        } catch (error) {
          if (connection.isCurrent()) throw failure(this.#init.path, 'reading failed', error)
        }
        connection.retire()
        this.#forget()
      }
    })
  }

  #whenFree<T>(attempt: () => T): Promise<T> {
    const { path, lockTimeoutMs } = this.#init
    return whenFree(path, attempt, () => (this.#isClosing ? CLOSING_PATIENCE_MS : lockTimeoutMs))
  }

  #use(connection: Connection): OpenLog {
    const watch = new CommitWatch(`${connection.path}-wal`, () => this.look())
    this.#log = { connection, queries: new Queries(connection), watch }
    return this.#log
  }

  #forget(): void {
    this.#log?.watch.close()
    this.#log = undefined
    // Each connection counts for itself: the next one's count may be the same, and means other changes.
    this.#dataVersion = undefined
  }

  /** Send news if another connection has committed. Returns whether it has. */
  look(): boolean {
    if (this.#streams.size === 0) return false
    try {
      const version = this.#log?.queries.dataVersion()
      if (version !== undefined && version === this.#dataVersion) return false
      this.#dataVersion = version
    } catch {
      // The next question to the file will report what is wrong with it.
    }
    this.#catchUp()
    return true
  }

  /** Check the path: a file that is deleted or replaced triggers no watch. */
  #checkFile(): void {
    try {
      if (this.#log?.connection.isCurrent()) {
        this.look()
        return
      }
    } catch {
      // Whoever waits is told by the question that follows.
    }
    this.#catchUp()
    // Without a stream nothing is sent, but asking closes the old file.
    if (this.#log) this.#run(this.#ask(() => undefined).catch(() => undefined))
  }

  #catchUp(): void {
    for (const stream of this.#streams.values()) stream.isBehind = true
    this.#pump()
  }

  /** Settle all requests, and close the file. */
  async close(): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#poll)
    this.#streams.clear()
    while (this.#running.size > 0) await Promise.all(this.#running)
    await this.#log?.connection.end()
    this.#forget()
  }
}

/** The next batch for a stream, if there is one, and the stream's new state. */
function entriesFor(
  { cursor, until: untilBefore, follow, source: sourceBefore }: EntryStream,
  queries: Queries,
  source: Connection,
): { batch?: PackedBatch; cursor: Cursor; until: number; newest: number; source: Connection } {
  const { first, newest } = queries.bounds()
  const until = untilBefore ?? (follow ? Infinity : newest.index)
  const known = follow ? cursor.index : Math.max(cursor.index, until)
  if (known > newest.index) throw new LogRewound(known, newest.index)
  if (cursor.id && source !== sourceBefore && (queries.idAt(cursor.index) ?? cursor.id) !== cursor.id)
    throw new LogRewound(cursor.index, newest.index)
  if (cursor.index + 1 < first) throw new LogTruncated(cursor.index + 1, first)
  if (cursor.index >= until || cursor.index === newest.index)
    return { cursor, until, newest: newest.index, source }

  const rows = queries.entries(cursor.index, until)
  const last = rows.at(-1)
  if (!last) throw new LogTruncated(cursor.index + 1, queries.next(cursor.index) ?? newest.index + 1)
  const payload = queries.payloads(rows[0]![0], last[0])
  const batch = packBatch(rows, payload, newest, (ref) => queries.writer(ref))
  const id = entryId(queries.writer(last[2]).nonce, last[3])
  return { batch, cursor: { index: last[0], id }, until, newest: newest.index, source }
}
