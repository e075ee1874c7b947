import type { Context } from '../context.ts'
import type { NamingFlags } from '../log/named-log.ts'
import type { Configuration } from '../settings/configuration.ts'

/** What a command does, once its arguments are known. Resolves with the exit code. */
export type Work = (context: Context, flags: NamingFlags, configuration: Configuration) => Promise<number>

/** Called with the command that the arguments ask for. */
export type Choose = (work: Work) => void
