import type { ByteString } from './byte-string.ts'

/** What a map's tree holds of a key: its value or, for a key with a TTL, its value and when it dies. */
export type Entry = ByteString | ExpiringEntry

export interface ExpiringEntry {
  readonly value: ByteString
  /** The machine time at which the key is dead, whether or not it is still in the tree. */
  readonly deadlineMs: number
}

export function isAlive(entry: Entry, timeMs: number): boolean {
  return typeof entry === 'string' || entry.deadlineMs > timeMs
}

export function valueIn(entry: Entry): ByteString {
  return typeof entry === 'string' ? entry : entry.value
}

/** Undefined for what is not there, or dead. */
export function liveValue(entry: Entry | undefined, timeMs: number): ByteString | undefined {
  return entry !== undefined && isAlive(entry, timeMs) ? valueIn(entry) : undefined
}
