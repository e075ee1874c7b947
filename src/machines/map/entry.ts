import type { ByteString } from '../../machine/byte-string.ts'

/** What a map's tree holds for a key: its value or, for a key with a TTL, its value and its deadline. */
export type Entry = ByteString | ExpiringEntry

export interface ExpiringEntry {
  readonly value: ByteString
  /** From this machine time on the key is dead, even if it is still in the tree. */
  readonly deadlineMs: number
}

export function isAlive(entry: Entry, timeMs: number): boolean {
  return typeof entry === 'string' || entry.deadlineMs > timeMs
}

export function valueIn(entry: Entry): ByteString {
  return typeof entry === 'string' ? entry : entry.value
}

/** The entry's value. Undefined for a key that is absent or dead. */
export function liveValue(entry: Entry | undefined, timeMs: number): ByteString | undefined {
  return entry !== undefined && isAlive(entry, timeMs) ? valueIn(entry) : undefined
}
