import { decodeControl } from '../../../group/control.ts'
import { Binding, type Upgrade } from '../../../log/binding.ts'
import { EpochChanged, LogMissing, LogRewound, LogTruncated } from '../../../log/errors.ts'
import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, checkPrune } from '../../../log/limits.ts'
import type {
  Appended,
  Cursor,
  LogBatch,
  LogBounds,
  LogEntry,
  LogInit,
  LogTail,
  NewEntry,
} from '../../../log/log.ts'
import type { World } from '../world.ts'
import { AppendFaults } from './append-faults.ts'
import type { PresenceTable } from './presence-table.ts'
import { LogRecord, type PruneDecision } from './record.ts'

export interface LogServerInit {
  readonly world: World
  readonly epoch: string
  /** The clock that stamps what a node writes, in milliseconds since 1970. */
  readonly stampBy: (node: string) => number
  readonly presences: PresenceTable
}

/** Who appends by one handle. */
export interface Writer {
  readonly epoch: string
  /** Whose log it was when it was opened. */
  readonly binding: Binding
  readonly author: string
  readonly node: string
  readonly life: string
  /** No two handles have the same. */
  readonly name: number
  /** Counts its entries. */
  sequence: number
}

/** What waits for news from the log. */
export interface Listening {
  newEntries(): void
  newPresences(): void
}

/** The log itself: what all processes share, and what it does as soon as a request is there. */
export class LogServer {
  readonly world: World
  readonly record: LogRecord
  readonly faults = new AppendFaults()
  readonly presences: PresenceTable
  readonly handles = new Set<Listening>()
  readonly #stampBy: (node: string) => number
  #binding: Binding | undefined
  #writers = 0

  constructor({ world, epoch, stampBy, presences }: LogServerInit) {
    this.world = world
    this.record = new LogRecord(epoch)
    this.presences = presences
    this.#stampBy = stampBy
  }

  get newest(): LogTail {
    return tailOf(this.record.entries.at(-1))
  }

  /** Throws for a log of another group or machine, or none where none may be made. */
  open(init: LogInit, node: string, life: string): Writer {
    const { group, signature, author, create = true } = init
    if (create && signature !== undefined && this.#binding === undefined) {
      this.#binding = new Binding(group, signature)
      this.record.bind(signature)
    }
    const binding = this.#binding
    if (binding === undefined) throw new LogMissing('the simulated log')
    binding.check(init)
    return { epoch: this.record.epoch, binding, author, node, life, name: ++this.#writers, sequence: 0 }
  }

  /** Returns whose log it is now. */
  noteUpgrade({ epoch, binding, life }: Writer, upgrade: Upgrade): Binding {
    this.assertEpoch(epoch)
    const now = this.#binding ?? binding
    if (now.isNews(upgrade)) this.world.note('log', `${life} notes ${upgrade.signature} at ${upgrade.at}`)
    this.#binding = now.noted(upgrade)
    return this.#binding
  }

  assertEpoch(epoch: string): void {
    if (epoch !== this.record.epoch) throw new EpochChanged(epoch, this.record.epoch)
  }

  commit(writer: Writer, entries: readonly NewEntry[]): Appended {
    this.assertEpoch(writer.epoch)
    const { record, world } = this
    const { author, node, life, epoch } = writer
    const timestampMs = Math.floor(this.#stampBy(node))
    const first = record.entries.length + 1
    const firstId = `${writer.name}-${writer.sequence + 1}`
    const last = first + entries.length - 1
    world.note('log', `${first}${last > first ? `..${last}` : ''} ${told(entries)} by ${life}`)
    for (const { kind, payload } of entries)
      record.add({
        index: record.entries.length + 1,
        timestampMs,
        author,
        id: `${writer.name}-${++writer.sequence}`,
        epoch,
        kind,
        payload: payload.slice(),
        atMs: world.nowMs,
        byNode: node,
        life,
      })
    this.tellEntries()
    return { first, last, firstId }
  }

  acknowledged({ epoch, node, life }: Writer, { first, last, firstId }: Appended): void {
    this.record.acks.push({
      atMs: this.world.nowMs,
      epoch,
      index: first,
      id: firstId!,
      count: last - first + 1,
      node,
      life,
    })
  }

  /** Throws where no reader can go on from. */
  check({ index, id }: Cursor): void {
    const { entries, first } = this.record
    const newest = entries.length
    if (index > newest) throw new LogRewound(index, newest)
    if (index + 1 < first) throw new LogTruncated(index + 1, first)
    // What was pruned cannot be compared any more.
    if (id && index >= first && entries[index - 1]!.id !== id) throw new LogRewound(index, newest)
  }

  /** The entry after this one. It must be there. */
  after(index: number): { readonly atMs: number } {
    return this.record.entries[index]!
  }

  /** The newest entry that was committed by then. */
  committedBy(atMs: number): number {
    const { entries } = this.record
    let [low, high] = [0, entries.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (entries[middle]!.atMs <= atMs) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The entries after `index`, up to `until`, when entry `newest` is the newest. Never empty. */
  batch(index: number, until: number, newest: number): LogBatch {
    const { entries } = this.record
    const endMax = Math.min(until, newest, index + BATCH_ENTRIES_MAX)
    let end = index
    for (let bytes = 0; end < endMax; end++) {
      bytes += entries[end]!.payload.byteLength
      if (bytes > BATCH_BYTES_MAX && end > index) break
    }
    return { entries: entries.slice(index, end), newest: tailOf(entries[newest - 1]) }
  }

  bounds(epoch: string): LogBounds {
    this.assertEpoch(epoch)
    return { epoch, first: this.record.first, newest: this.newest }
  }

  prune(upTo: number, by: string, decided?: PruneDecision): void {
    const { record, world } = this
    const newest = record.entries.length
    checkPrune(upTo, newest)
    if (upTo < record.first) return
    world.note('log', `${by} prunes up to ${upTo}`)
    const { epoch } = record
    record.prune({ atMs: world.nowMs, epoch, upTo, newest, by, ...(decided && { decided }) })
    this.tellEntries()
  }

  rewind(index: number): void {
    const newest = this.record.entries.length
    if (!Number.isInteger(index) || index < 0 || index > newest)
      throw new RangeError(`this log can be put back to 0 up to ${newest}, not to ${index}`)
    this.world.note('log', `is put back from ${newest} to ${index}`)
    this.record.rewind(index, this.world.nowMs)
    this.#binding = this.#binding?.rewound(index)
    this.tellEntries()
  }

  recreate(epoch: string): void {
    this.world.note('log', `is made anew as ${epoch}`)
    this.record.recreate(epoch, this.world.nowMs)
    this.presences.clear()
    this.#binding = undefined
    this.tellEntries()
    this.tellPresences()
  }

  tellEntries(): void {
    for (const handle of this.handles) handle.newEntries()
  }

  tellPresences(): void {
    for (const handle of this.handles) handle.newPresences()
  }
}

function tailOf(entry: LogEntry | undefined): LogTail {
  return entry === undefined
    ? { index: 0, timestampMs: 0 }
    : { index: entry.index, timestampMs: entry.timestampMs }
}

/** The kinds of entries, for the trace. */
function told(entries: readonly NewEntry[]): string {
  return entries
    .map(({ kind, payload }) =>
      kind === 'command' ? 'command' : (decodeControl(payload)?.type ?? 'foreign'),
    )
    .join(' ')
}
