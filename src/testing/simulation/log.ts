import { type Announcement, decodeAnnouncement } from '../../group/announcement.ts'
import { decodeControl } from '../../group/control.ts'
import { AppendUncertain, LogBusy } from '../../log/errors.ts'
import type { Log, LogBackend, LogBatch, NewEntry, SignalOptions } from '../../log/log.ts'
import { type MemoryLog, memoryLog } from '../../log/memory.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export interface RecordedEntry {
  readonly index: number
  readonly epoch: string
  readonly timestampMs: number
  readonly author: string
  readonly kind: 'command' | 'control'
  readonly payload: Uint8Array
  readonly byNode: string
  readonly life: string
}

/** What a member announced. */
export interface RecordedPresence {
  readonly node: string
  readonly announcement: Announcement
  readonly atMs: number
  readonly ttlMs: number
}

/** By the members' ids. */
export type RecordedPresences = ReadonlyMap<string, RecordedPresence>

export interface RecordedPrune {
  readonly atMs: number
  readonly upTo: number
  /** A node, or `operator`. */
  readonly by: string
  /** What was announced as its process decided on it. An operator decides on nothing. */
  readonly decided?: {
    readonly atMs: number
    /** When that process had read the presences last. */
    readonly readAtMs: number
    readonly presences: RecordedPresences
  }
}

export interface SimulatedLogOptions {
  readonly kind: 'local' | 'service'
  readonly epoch?: string
  readonly stampBy: (node: string) => number
}

/** All that was ever committed. */
export class LogRecord {
  entries: RecordedEntry[] = []
  first = 1
  readonly prunes: RecordedPrune[] = []
  /** Replaced with each change, so that whoever keeps it keeps what was. */
  presences: RecordedPresences = new Map()
  readonly rewinds: number[] = []
  #listeners: ((entry: RecordedEntry) => void)[] = []

  onEntry(listener: (entry: RecordedEntry) => void): void {
    this.#listeners.push(listener)
  }

  announced(member: string, presence: RecordedPresence): void {
    this.presences = new Map(this.presences).set(member, presence)
  }

  withdrawn(member: string): void {
    const presences = new Map(this.presences)
    presences.delete(member)
    this.presences = presences
  }

  add(entry: RecordedEntry): void {
    this.entries.push(entry)
    for (const listener of this.#listeners) listener(entry)
  }
}

/** The group's log. */
export class SimulatedLog {
  readonly record = new LogRecord()
  readonly #world: World
  readonly #options: SimulatedLogOptions
  readonly #inner: MemoryLog
  #stamp: () => number
  #epoch: string
  #refusals = 0
  #lostAcks = 0
  #lostRequests = 0
  #wallAheadMs = 0
  readonly #away = new Set<string>()
  #waiters = new Set<() => void>()
  readonly #slow = new Map<string, number>()

  constructor(world: World, options: SimulatedLogOptions) {
    this.#world = world
    this.#options = options
    this.#epoch = options.epoch ?? 'epoch-1'
    this.#stamp = () => this.wallMs()
    this.#inner = memoryLog({ now: () => Math.floor(this.#stamp()), epoch: this.#epoch })
  }

  get epoch(): string {
    return this.#epoch
  }

  wallMs(): number {
    return this.#options.stampBy('') + this.#wallAheadMs
  }

  stepWall(byMs: number): void {
    this.#wallAheadMs += byMs
  }

  goAway(node = '*'): void {
    this.#away.add(node)
  }

  comeBack(node?: string): void {
    if (node === undefined) this.#away.clear()
    else this.#away.delete(node)
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const go of waiters) go()
  }

  refuse(_kind: 'busy', count: number): void {
    this.#refusals += count
  }

  loseAcks(count: number): void {
    this.#lostAcks += count
  }

  loseRequests(count: number): void {
    this.#lostRequests += count
  }

  slowReader(node: string, ms: number): void {
    this.#slow.set(node, ms)
  }

  losePresences(): void {}

  prune(upTo: number): void {
    if (this.#signature === '') return
    this.#world.note('log', `an operator prunes up to ${upTo}`)
    this.record.prunes.push({ atMs: this.#world.nowMs, upTo, by: 'operator' })
    this.record.first = Math.max(this.record.first, upTo + 1)
    void this.#inner
      .open({ group: 'simulated', signature: this.#signature, author: 'operator' })
      .then((log) => log.prune(upTo))
  }

  #signature = ''

  backendFor(life: Life, node: string): LogBackend {
    return {
      open: async (init) => {
        this.#signature = init.signature
        await this.#reachable(life, node)
        const log = await this.#inner.open(init)
        return this.#handle(log, life, node, init.author)
      },
    }
  }

  async #reachable(life: Life, node: string): Promise<void> {
    while (this.#away.has('*') || this.#away.has(node))
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    await life.running()
  }

  #handle(log: Log, life: Life, node: string, author: string): Log {
    const times = this.#options.kind === 'service' ? { thereMs: 0.5, backMs: 0.5 } : {}
    const call = async <T>(work: () => Promise<T>) => {
      await this.#reachable(life, node)
      return await life.call(() => work(), times)
    }
    const append = async (entries: readonly NewEntry[], options?: SignalOptions) => {
      await this.#reachable(life, node)
      options?.signal?.throwIfAborted()
      if (this.#refusals > 0) {
        this.#refusals--
        throw new LogBusy(5_000)
      }
      if (this.#lostRequests > 0) {
        this.#lostRequests--
        throw new AppendUncertain('lost')
      }
      const copies = entries.map(({ kind, payload }) => ({ kind, payload: payload.slice() }))
      return await life.call(() => this.#append(log, copies, life, node, author), times)
    }
    const batches = (of: (options?: SignalOptions) => AsyncIterable<LogBatch>) =>
      this.#batches(of, life, node)
    let readAtMs = Number.NEGATIVE_INFINITY
    return {
      epoch: log.epoch,
      maxEntryBytes: log.maxEntryBytes,
      append,
      follow: (cursor, options) => batches(() => log.follow(cursor, options)),
      read: (cursor, options) => batches(() => log.read(cursor, options)),
      bounds: (options) => call(() => log.bounds(options)),
      prune: (upTo, options) => {
        const decided = { atMs: this.#world.nowMs, readAtMs, presences: this.record.presences }
        return call(async () => {
          await log.prune(upTo, options)
          if (upTo < this.record.first) return
          this.record.first = upTo + 1
          this.record.prunes.push({ atMs: this.#world.nowMs, upTo, by: node, decided })
          this.#world.note('log', `${life.name} prunes up to ${upTo}`)
        })
      },
      notices: {
        announce: (member, data, ttlMs, options) =>
          call(async () => {
            await log.notices.announce(member, data, ttlMs, options)
            const announcement = decodeAnnouncement(data)
            const atMs = this.#world.nowMs
            if (announcement !== undefined) this.record.announced(member, { node, announcement, atMs, ttlMs })
          }),
        withdraw: (member, options) =>
          call(async () => {
            await log.notices.withdraw(member, options)
            this.record.withdrawn(member)
          }),
        read: (options) =>
          call(() => {
            readAtMs = this.#world.nowMs
            return log.notices.read(options)
          }),
        watch: (options) => this.#batches(() => log.notices.watch(options), life, node),
      },
      close: () => log.close(),
    }
  }

  async #append(log: Log, entries: readonly NewEntry[], life: Life, node: string, author: string) {
    if (this.#options.kind === 'local') this.#stamp = () => this.#options.stampBy(node)
    let timestampMs = 0
    const stamp = this.#stamp
    this.#stamp = () => {
      timestampMs = Math.floor(stamp())
      return timestampMs
    }
    const appended = await log.append(entries)
    this.#stamp = () => this.wallMs()
    for (const [n, { kind, payload }] of entries.entries()) {
      const index = appended.first + n
      this.#world.note(
        'log',
        `${index} is ${kind === 'command' ? kind : decodeControl(payload)?.type} of ${life.name}`,
      )
      this.record.add({
        index,
        epoch: this.#epoch,
        timestampMs,
        author,
        kind,
        payload,
        byNode: node,
        life: life.name,
      })
    }
    if (this.#lostAcks > 0) {
      this.#lostAcks--
      throw new AppendUncertain('no answer')
    }
    return appended
  }

  async *#batches<T>(of: () => AsyncIterable<T>, life: Life, node: string): AsyncGenerator<T> {
    for await (const batch of of()) {
      await this.#reachable(life, node)
      const slowMs = this.#slow.get(node) ?? 0
      if (slowMs > 0) await new Promise<void>((resolve) => life.schedule(slowMs, resolve))
      yield batch
    }
  }
}
