import type { LogPlace } from '../../log/log-place.ts'
import type { LogFlags } from '../log/log-flags.ts'

/** Where the demo's log is. Disposing of it removes the log. */
export interface DemoEnvironment extends AsyncDisposable {
  /** For the story. */
  readonly text: string
  readonly group: string
  /** The log on servers. Undefined: a file in the cluster's folder. */
  readonly servers?: {
    /** In the command line's terms, for other processes. */
    readonly flags: LogFlags
    /** For this one. */
    readonly place: LogPlace
  }
}

export function sqliteEnvironment(): DemoEnvironment {
  return { text: 'one SQLite file', group: 'demo', async [Symbol.asyncDispose]() {} }
}
