import type { NamedLog, NamingFlags } from './log/named-log.ts'
import type { Output } from './output.ts'

/** Options that every command takes. */
export interface GlobalOptions extends NamingFlags {
  readonly group: string
  /** The file with the network's pre-shared key. */
  readonly networkKey?: string
}

/** What a command gets besides its own arguments. */
export interface Context {
  readonly log: NamedLog
  readonly group: string
  readonly networkKey?: string
  readonly output: Output
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

/**
 * Exit codes. After `operator` a supervisor that starts the command again gains nothing: an operator must act
 * first. `unwell` is an answer of `status --check`. After a signal the code is 128 and the signal's number, so
 * 130 after Ctrl-C.
 */
export const EXIT = { ok: 0, failed: 1, usage: 2, operator: 3, unwell: 4 } as const
