import type { LogEntry } from '../log.ts'

/** An entry as a line of JSON, its payload in Base64: for a storage that keeps texts. */
export function encodeEntry(entry: LogEntry): string {
  return JSON.stringify({ ...entry, payload: encodeBytes(entry.payload) })
}

/** What `encodeEntry` was given. */
export function decodeEntry(line: string): LogEntry {
  const { payload, ...entry } = JSON.parse(line)
  return { ...entry, payload: decodeBytes(payload) }
}

export function encodeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

export function decodeBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
