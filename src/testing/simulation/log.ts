import { checkEntryBytes, checkInit, ENTRY_BYTES_DEFAULT } from '../../log/limits.ts'
import type { Log, LogBackend, LogInit } from '../../log/log.ts'
import type { Life } from './life.ts'
import type { AppendFate, Attempt, FaultOptions, Refusal } from './log/append-faults.ts'
import { SimulatedHandle } from './log/handle.ts'
import { Line } from './log/line.ts'
import { PresenceTable } from './log/presence-table.ts'
import { type LogKind, type LogLatency, Reach } from './log/reach.ts'
import type { LogRecord } from './log/record.ts'
import { LogServer } from './log/server.ts'
import { BEGAN_MS, type World } from './world.ts'

export type { AppendFate, Attempt, FaultOptions, Refusal } from './log/append-faults.ts'
export type { LogKind, LogLatency } from './log/reach.ts'
export type * from './log/record.ts'

/** The largest payload that servers of NATS take as they are, in bytes: 1 MiB less what is added to it. */
const SERVICE_ENTRY_BYTES = 1024 * 1024 - 1026
/** How long a client of NATS looks for its servers when it opens a log, in milliseconds. */
const OPEN_MS = 10_000

export interface SimulatedLogOptions {
  /**
   * `local`: a file on one machine, as with SQLite. There is no connection, and what takes time is the file's
   * lock. `service`: servers, as with JetStream.
   */
  readonly kind: LogKind
  /** The first incarnation's name. Default: `epoch-1`. */
  readonly epoch?: string
  readonly maxEntryBytes?: number
  /**
   * A node's wall clock, in milliseconds since 1970. It stamps what the node writes to a local log. Default:
   * the log's own clock.
   */
  readonly stampBy?: (node: string) => number
  /** The clock of the log's machine, before it is stepped. Default: the world's, from `BEGAN_MS` on. */
  readonly wallMs?: () => number
}

/** The group's log, with the accidents of a file or of servers. */
export class SimulatedLog {
  readonly #world: World
  readonly #server: LogServer
  readonly #reach: Reach
  readonly #maxEntryBytes: number
  readonly #stampBy: (node: string) => number
  readonly #wallMs: () => number
  #wallAheadMs = 0

  constructor(world: World, options: SimulatedLogOptions) {
    const { kind, epoch = 'epoch-1', maxEntryBytes, stampBy } = options
    checkEntryBytes(maxEntryBytes)
    this.#world = world
    this.#wallMs = options.wallMs ?? (() => BEGAN_MS + world.nowMs)
    this.#reach = new Reach(world, kind)
    this.#maxEntryBytes = maxEntryBytes ?? (kind === 'local' ? ENTRY_BYTES_DEFAULT : SERVICE_ENTRY_BYTES)
    this.#stampBy = (kind === 'local' && stampBy) || (() => this.wallMs())
    this.#server = new LogServer({ world, epoch, stampBy: this.#stampBy, presences: new PresenceTable(kind) })
  }

  get kind(): LogKind {
    return this.#reach.kind
  }

  get record(): LogRecord {
    return this.#server.record
  }

  get epoch(): string {
    return this.record.epoch
  }

  /** The payload of all entries that can be read. */
  get bytesHeld(): number {
    return this.record.bytesHeld
  }

  /** How many handles are open, of processes that live. */
  get handles(): number {
    return this.#server.handles.size
  }

  /** What a life of a process opens the log with. */
  backendFor(life: Life, node: string): LogBackend {
    return { open: (init) => this.#open(init, life, node) }
  }

  /** The servers' wall clock, in milliseconds since 1970. */
  wallMs(): number {
    return this.#wallMs() + this.#wallAheadMs
  }

  stepWall(byMs: number): void {
    this.#note(`its clock is set by ${byMs}`)
    this.#wallAheadMs += byMs
  }

  setLatency(latency: LogLatency): void {
    this.#reach.setLatency(latency)
  }

  /** All requests take so much longer, until this is 0 again. */
  delay(ms: number): void {
    this.#note(`takes ${ms} ms longer`)
    this.#reach.delayMs = ms
  }

  /** What this node reads comes so much later, until this is 0 again. */
  slowReader(node: string, ms: number): void {
    this.#note(`${node} reads ${ms} ms late`)
    this.#reach.slow(node, ms)
  }

  /**
   * Servers cannot be reached by a node, or by all; its processes notice that after `noticeMs`. Of a local
   * log somebody holds the lock: it can be read, and not written.
   */
  goAway(node?: string, noticeMs = 0): void {
    this.#note(`is away for ${node ?? 'all'}`)
    this.#reach.goAway(node, noticeMs)
  }

  /** Without a node, it comes back for all. Processes that had noticed are connected within two seconds. */
  comeBack(node?: string): void {
    this.#note(`is back for ${node ?? 'all'}`)
    this.#reach.comeBack(node)
  }

  /** The next appends reject, and nothing of them is in the log. */
  refuse(kind: Refusal, count: number, options?: FaultOptions): void {
    this.#server.faults.add(kind, count, options)
  }

  /** The next appends are in the log, and their writers hear `AppendUncertain`. */
  loseAcks(count: number, node?: string, afterMs = 0): void {
    this.#server.faults.add('lose-ack', count, { node, afterMs })
  }

  /** The next appends are not in the log, and their writers hear `AppendUncertain`. */
  loseRequests(count: number, node?: string, afterMs = 0): void {
    this.#server.faults.add('lose-request', count, { node, afterMs })
  }

  /** Of the next appends the first half is in the log, and their writers hear `AppendUncertain`. */
  tearAppends(count: number, node?: string): void {
    this.#server.faults.add('tear', count, { node })
  }

  /** Ask what is to become of each append. Returns what ends that. */
  intercept(decide: (attempt: Attempt) => AppendFate): () => void {
    return this.#server.faults.intercept(decide)
  }

  /** An operator prunes, whatever the group holds on to; at most everything. */
  prune(upTo: number): void {
    this.#server.prune(Math.min(upTo, this.record.entries.length), 'operator')
  }

  /**
   * Put the log back to the state in which `index` was its newest entry: by a backup, or by servers that lost
   * the rest.
   */
  rewind(index: number): void {
    this.#server.rewind(index)
  }

  /** Delete the log and make it anew: `epoch-2` comes after the first. */
  recreate(): void {
    this.#server.recreate(`epoch-${this.record.incarnations.length + 2}`)
  }

  /** All presences are gone, as when servers lose the bucket. */
  losePresences(): void {
    this.#note('loses the presences')
    this.#server.presences.clear()
    this.record.presencesLost()
    this.#server.tellPresences()
  }

  /** The presence store does not answer this node, until `thawPresences`. The log itself does. */
  freezePresences(node: string): void {
    this.#note(`shows ${node} no presences`)
    this.#reach.freeze(node)
  }

  thawPresences(node?: string): void {
    this.#reach.thaw(node)
  }

  /** All trouble ends, but for the clock's. */
  mend(): void {
    this.#server.faults.clear()
    this.#reach.mend()
  }

  async #open(init: LogInit, life: Life, node: string): Promise<Log> {
    const { signal } = init
    signal?.throwIfAborted()
    checkInit(init)
    const line = new Line(this.#reach, life, node)
    try {
      const open = () => this.#server.open(init, node, life.name)
      const writer = await line.ask(open, { signal, need: 'read', patienceMs: OPEN_MS })
      return new SimulatedHandle({
        server: this.#server,
        line,
        writer,
        maxEntryBytes: this.#maxEntryBytes,
        stampBy: this.#stampBy,
      })
    } catch (error) {
      line.close()
      throw error
    }
  }

  #note(what: string): void {
    this.#world.note('log', what)
  }
}
