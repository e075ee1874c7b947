import type { Announcement } from '../../../group/announcement.ts'
import type { LogEntry, NewEntry } from '../../../log/log.ts'

/** An entry, and who appended it when. */
export interface RecordedEntry extends LogEntry {
  /** The world's time of the commit. */
  readonly atMs: number
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
  readonly epoch: string
  readonly upTo: number
  /** The newest entry then. */
  readonly newest: number
  /** A node, or `operator`. */
  readonly by: string
  /** What was announced as its process decided on it. An operator decides on nothing. */
  readonly decided?: PruneDecision
}

export interface PruneDecision {
  readonly atMs: number
  /** When that process had read the presences last. */
  readonly readAtMs: number
  readonly presences: RecordedPresences
  readonly life: string
}

/** The writer of an append was told that it is in the log. */
export interface RecordedAck {
  readonly atMs: number
  readonly epoch: string
  /** Its first entry. After a rewind another entry may be there: compare the ids. */
  readonly index: number
  readonly id: string
  readonly count: number
  readonly node: string
  readonly life: string
}

/** The log was put back. */
export interface RecordedRewind {
  readonly atMs: number
  readonly epoch: string
  /** The newest entry since. */
  readonly to: number
  /** The entries that are gone, in order. */
  readonly lost: readonly RecordedEntry[]
}

/** A log that was deleted, as it was then. */
export interface RecordedIncarnation {
  readonly epoch: string
  readonly endedMs: number
  readonly first: number
  readonly entries: readonly RecordedEntry[]
}

/** All that was ever done to the log, for oracles: no part of the product keeps it. */
export class LogRecord {
  /** Every entry of the log that there is now, also those that were pruned: entry 1 comes first. */
  entries: RecordedEntry[] = []
  /** The oldest entry that can be read. */
  first = 1
  epoch: string
  /** Of all incarnations, as are the rewinds and acknowledgements. */
  readonly prunes: RecordedPrune[] = []
  readonly rewinds: RecordedRewind[] = []
  readonly acks: RecordedAck[] = []
  /** The earlier ones. */
  readonly incarnations: RecordedIncarnation[] = []
  /** Replaced with each change, so that whoever keeps it keeps what was. */
  presences: RecordedPresences = new Map()
  /** The payload of all entries that can be read. */
  bytesHeld = 0
  readonly #listeners = new Set<(entry: RecordedEntry) => void>()
  readonly #onRewind = new Set<(rewind: RecordedRewind) => void>()
  readonly #onBound = new Set<(signature: string) => void>()
  readonly #onRecreate = new Set<(epoch: string) => void>()
  readonly #onAppend = new Set<(life: string, payload: Uint8Array) => void>()
  readonly #onRead = new Set<(life: string, presences: RecordedPresences) => void>()

  constructor(epoch: string) {
    this.epoch = epoch
  }

  /** Told of each entry as it is committed. Returns what ends that. */
  onEntry(listener: (entry: RecordedEntry) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Told for which version of the machine each log is made. Returns what ends that. */
  onBound(listener: (signature: string) => void): () => void {
    this.#onBound.add(listener)
    return () => this.#onBound.delete(listener)
  }

  /** Told of each rewind. Returns what ends that. */
  onRewind(listener: (rewind: RecordedRewind) => void): () => void {
    this.#onRewind.add(listener)
    return () => this.#onRewind.delete(listener)
  }

  /** Told of the epoch of each log that is made anew. Returns what ends that. */
  onRecreate(listener: (epoch: string) => void): () => void {
    this.#onRecreate.add(listener)
    return () => this.#onRecreate.delete(listener)
  }

  /** Told, each time a process has read the presences, what it has now. Returns what ends that. */
  onPresencesRead(listener: (life: string, presences: RecordedPresences) => void): () => void {
    this.#onRead.add(listener)
    return () => this.#onRead.delete(listener)
  }

  /** Told of each control entry that a process is about to append. Returns what ends that. */
  onAppend(listener: (life: string, payload: Uint8Array) => void): () => void {
    this.#onAppend.add(listener)
    return () => this.#onAppend.delete(listener)
  }

  appends(life: string, entries: readonly NewEntry[]): void {
    for (const { kind, payload } of entries)
      if (kind === 'control') for (const listener of this.#onAppend) listener(life, payload)
  }

  presencesRead(life: string, presences: RecordedPresences): void {
    for (const listener of this.#onRead) listener(life, presences)
  }

  /** The log was made for this version of the machine. */
  bind(signature: string): void {
    for (const listener of this.#onBound) listener(signature)
  }

  add(entry: RecordedEntry): void {
    this.entries.push(entry)
    this.bytesHeld += entry.payload.byteLength
    for (const listener of this.#listeners) listener(entry)
  }

  prune(prune: RecordedPrune): void {
    this.prunes.push(prune)
    for (; this.first <= prune.upTo; this.first++)
      this.bytesHeld -= this.entries[this.first - 1]!.payload.byteLength
  }

  /** From the state in which entry `to` was the newest. What was pruned since can be read again. */
  rewind(to: number, atMs: number): void {
    const lost = this.entries.splice(to)
    const rewind = { atMs, epoch: this.epoch, to, lost }
    this.rewinds.push(rewind)
    if (this.first > to + 1) this.first = this.#firstAsOf(to)
    this.bytesHeld = 0
    for (let index = this.first; index <= to; index++)
      this.bytesHeld += this.entries[index - 1]!.payload.byteLength
    for (const listener of this.#onRewind) listener(rewind)
  }

  recreate(epoch: string, atMs: number): void {
    this.incarnations.push({ epoch: this.epoch, endedMs: atMs, first: this.first, entries: this.entries })
    this.epoch = epoch
    this.entries = []
    this.first = 1
    this.bytesHeld = 0
    this.presences = new Map()
    for (const listener of this.#onRecreate) listener(epoch)
  }

  announced(member: string, presence: RecordedPresence): void {
    this.presences = new Map(this.presences).set(member, presence)
  }

  withdrawn(member: string): void {
    const presences = new Map(this.presences)
    presences.delete(member)
    this.presences = presences
  }

  presencesLost(): void {
    this.presences = new Map()
  }

  #firstAsOf(index: number): number {
    const before = this.prunes.filter(({ epoch, newest }) => epoch === this.epoch && newest <= index)
    return 1 + Math.max(0, ...before.map(({ upTo }) => upTo))
  }
}
