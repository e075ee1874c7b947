import type { LogPlace } from '../../log/log-place.ts'
import type { LogFlags } from '../log/log-flags.ts'

/** What the demo's log stands on. Its end is the log's. */
export interface DemoEnvironment extends AsyncDisposable {
  /** For the story. */
  readonly text: string
  readonly group: string
  /** The log on servers. Undefined: a file in the cluster's folder. */
  readonly servers?: {
    /** For other processes, as the command line says it. */
    readonly flags: LogFlags
    /** For this one. */
    readonly place: LogPlace
  }
}

export function sqliteEnvironment(): DemoEnvironment {
  return { text: 'one SQLite file', group: 'demo', async [Symbol.asyncDispose]() {} }
}
