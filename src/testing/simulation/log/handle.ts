import type { Binding } from '../../../log/binding.ts'
import { LogClosed, LogRewound } from '../../../log/errors.ts'
import { checkAppend, checkCursor, checkUpgrade } from '../../../log/limits.ts'
import type {
  Appended,
  Cursor,
  Log,
  LogBatch,
  LogBounds,
  LogConnection,
  NewEntry,
  SignalOptions,
} from '../../../log/log.ts'
import type { PresenceStore } from '../../../log/presence.ts'
import { Appends } from './appends.ts'
import { Iteration } from './iteration.ts'
import { type Line, PATIENCE_MS } from './line.ts'
import { type HandleInit, SimulatedPresenceStore } from './presence-store.ts'
import type { Listening, LogServer, Writer } from './server.ts'

/** One process's handle on the log. */
export class SimulatedHandle implements Log, Listening {
  readonly epoch: string
  readonly maxEntryBytes: number
  readonly notices: PresenceStore
  readonly #server: LogServer
  readonly #line: Line
  readonly #writer: Writer
  readonly #appends: Appends
  readonly #presences: SimulatedPresenceStore
  readonly #readers = new Set<() => void>()
  readonly #offDeath: () => void
  /** What this process knows: a file, too, tells nobody of later notes. */
  #binding: Binding
  #closed: Promise<void> | undefined

  constructor(init: HandleInit) {
    const { server, line, writer, maxEntryBytes } = init
    this.epoch = writer.epoch
    this.maxEntryBytes = maxEntryBytes
    this.#server = server
    this.#line = line
    this.#writer = writer
    this.#binding = writer.binding
    this.#appends = new Appends(server, line, writer)
    this.#presences = new SimulatedPresenceStore(init)
    this.notices = this.#presences
    server.handles.add(this)
    this.#offDeath = line.life.onDeath(() => server.handles.delete(this))
    line.onFound(() => {
      this.newEntries()
      this.newPresences()
    })
  }

  get connection(): LogConnection | undefined {
    return this.#line.isLocal ? undefined : this.#line
  }

  get signature(): string {
    return this.#binding.signature
  }

  get upgraded(): string | undefined {
    return this.#binding.upgraded
  }

  async append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    this.#assertOpen(options)
    checkAppend(entries, this.maxEntryBytes)
    this.#server.record.appends(this.#line.life.name, entries)
    return await this.#appends.append(entries, options)
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, true, options)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, false, options)
  }

  async bounds({ signal }: SignalOptions = {}): Promise<LogBounds> {
    this.#assertOpen({ signal })
    return await this.#line.ask(() => this.#server.bounds(this.epoch), { signal, need: 'read' })
  }

  async prune(upTo: number, { signal }: SignalOptions = {}): Promise<void> {
    this.#assertOpen({ signal })
    const { world, record } = this.#server
    const { readAtMs } = this.#presences
    const { name: life } = this.#line.life
    const decided = { atMs: world.nowMs, readAtMs, presences: record.presences, life }
    const work = () => {
      this.#server.assertEpoch(this.epoch)
      this.#server.prune(upTo, this.#line.node, decided)
    }
    await this.#line.ask(work, { signal, need: 'write' })
  }

  async noteUpgrade(signature: string, at: number, { signal }: SignalOptions = {}): Promise<void> {
    this.#assertOpen({ signal })
    checkUpgrade({ signature, at })
    const note = () => this.#server.noteUpgrade(this.#writer, { signature, at })
    this.#binding = await this.#line.ask(note, { signal, need: 'write' })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  newEntries(): void {
    for (const notify of this.#readers) notify()
  }

  newPresences(): void {
    this.#presences.changed()
  }

  async #close(): Promise<void> {
    this.#line.close()
    await this.#appends.close()
    this.#offDeath()
    this.#server.handles.delete(this)
  }

  #assertOpen({ signal }: { readonly signal?: AbortSignal | undefined } = {}): void {
    signal?.throwIfAborted()
    if (this.#line.isClosed) throw new LogClosed()
  }

  async *#batches(
    cursor: Cursor,
    isFollowing: boolean,
    { signal }: SignalOptions = {},
  ): AsyncGenerator<LogBatch> {
    if (signal?.aborted) return
    this.#assertOpen()
    const server = this.#server
    const line = this.#line
    const { world, record } = server
    using iteration = new Iteration(line, this.#readers, signal)
    const beganMs = world.nowMs + line.thereMs()
    const until = isFollowing ? Number.POSITIVE_INFINITY : (await this.bounds({ signal })).newest.index
    let last = cursor
    let lagMs: number | undefined
    while (!iteration.isOver) {
      if (!line.isOpenFor('read')) {
        if (isFollowing) await iteration.wait()
        else await line.until('read', line.life.nowMs + PATIENCE_MS, PATIENCE_MS, signal)
        continue
      }
      server.assertEpoch(this.epoch)
      server.check(last)
      if (last.index >= until) return
      const { length: newest } = record.entries
      if (last.index === newest) {
        if (!isFollowing) throw new LogRewound(until, newest)
        await iteration.wait()
        continue
      }
      lagMs ??= line.lagMs()
      let visible = newest
      if (lagMs > 0) {
        const { atMs } = server.after(last.index)
        const dueMs = Math.max(atMs, beganMs) + lagMs
        if (dueMs > world.nowMs) {
          iteration.wakeAt(dueMs)
          await iteration.wait()
          continue
        }
        visible = server.committedBy(Math.max(atMs, world.nowMs - lagMs))
      }
      lagMs = undefined
      const batch = server.batch(last.index, until, visible)
      last = batch.entries.at(-1)!
      yield batch
    }
  }
}
