import type { Patient } from './patient.ts'

export type Level = 'ok' | 'warn' | 'fail'

/** What one look found. */
export interface Finding {
  readonly level: Level
  /** Stays the same between releases. */
  readonly code: string
  readonly message: string
  /** What to do; absent where all is well. */
  readonly remedy?: string
}

/** Looks at one thing, and changes nothing. */
export interface Check {
  /** A word, for people and programs. */
  readonly name: string
  /** What must be known before it begins; its time counts from then on. Default: nothing. */
  readonly needs?: 'log' | 'replicas'
  /** No finding: there is nothing to look at. */
  run(patient: Patient, signal: AbortSignal): Promise<readonly Finding[]>
}

export function ok(code: string, message: string): Finding {
  return { level: 'ok', code, message }
}

export function warn(code: string, message: string, remedy: string): Finding {
  return { level: 'warn', code, message, remedy }
}

export function fail(code: string, message: string, remedy: string): Finding {
  return { level: 'fail', code, message, remedy }
}
