import type { Output } from './output.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  /** The log's file. */
  readonly log: string
  readonly group: string
  /** The file with the network's pre-shared key. */
  readonly networkKey?: string
}

/** What a command gets besides its own arguments. */
export interface Context extends GlobalOptions {
  readonly output: Output
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

/** Exit codes; after a signal it is 128 + its number, so 130 after Ctrl-C. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const
