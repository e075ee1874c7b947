import type { LogEntry, LogInit, NewEntry } from '../../log/log.ts'

/** The parameters with which every test opens its log. */
export function logInit(overrides: Partial<LogInit> = {}): LogInit {
  return { group: 'a group', signature: 'map/1', author: 'alice', ...overrides }
}

/** One command per text. */
export function commands(...texts: string[]): NewEntry[] {
  return texts.map((text) => ({ kind: 'command', payload: new TextEncoder().encode(text) }))
}

export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, n) => String(from + n))
}

export function text({ payload }: Pick<LogEntry, 'payload'>): string {
  return new TextDecoder().decode(payload)
}
