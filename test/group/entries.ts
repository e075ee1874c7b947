import { type Control, encodeControl } from '../../src/group/control.ts'
import type { LogEntry } from '../../src/log/log.ts'

/** A control entry of the log at `index`. */
export function controlEntry(index: number, author: string, control: Control): LogEntry {
  return entry(index, author, encodeControl(control))
}

export function entry(index: number, author: string, payload: Uint8Array): LogEntry {
  return { index, author, payload, timestampMs: 1000, id: `id-${index}`, epoch: 'e', kind: 'control' }
}
