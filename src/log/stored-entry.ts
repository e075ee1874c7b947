import type { EntryKind, LogEntry } from './log.ts'

/** Who appended an entry, as a table of writers has it. */
export interface EntryWriter {
  /** No other writer of the log has the same. */
  readonly nonce: string
  readonly author: string
}

/** An entry that makes its id only when it is asked for. Few ids are. */
export abstract class StoredEntry implements LogEntry {
  readonly index: number
  readonly timestampMs: number
  readonly epoch: string
  readonly kind: EntryKind
  readonly payload: Uint8Array
  protected readonly writer: EntryWriter
  /** How many entries the writer had appended before. */
  protected readonly seq: number

  constructor(
    index: number,
    timestampMs: number,
    epoch: string,
    kind: EntryKind,
    payload: Uint8Array,
    writer: EntryWriter,
    seq: number,
  ) {
    this.index = index
    this.timestampMs = timestampMs
    this.epoch = epoch
    this.kind = kind
    this.payload = payload
    this.writer = writer
    this.seq = seq
  }

  abstract get id(): string

  get author(): string {
    return this.writer.author
  }
}
