import type { LogBackend } from '../../log/log.ts'
import { logAt } from '../../log/log-at.ts'
import { type LogPlace, placeName } from '../../log/log-place.ts'
import { removeLog } from '../../log/remove-log.ts'
import { backendOf } from '../../processes/log-module.ts'
import { asError } from '../../thrown.ts'
import { UsageError } from '../errors.ts'
import { dashed, type LogFlags, misusedFlags, placeOf, SERVERS_FLAGS } from './log-flags.ts'

/** The log that the flags name. */
export interface NamedLog {
  /** For people. Never with a password. */
  readonly name: string
  /** What names it on a command line. Undefined if that may be secret. */
  readonly flags: string | undefined
  /** Whether it is a file that the command reads itself. */
  readonly isFile: boolean
  backendFor(group: string): LogBackend
  /** The group's log, for people. */
  nameFor(group: string): string
  /** Remove the group's log, which is empty. */
  remove(group: string): Promise<void>
}

export interface NamingFlags extends LogFlags {
  /** A module with the backend. */
  readonly logModule?: string
}

/**
 * Throws `UsageError` for flags that name no log, and for those that are not for the log that is named.
 *
 * @param isWeaker whether a flag's value comes from where it counts less than another's: from a file rather than the
 * command line. A setting from a weaker place than the log's name was not meant for this log, and is left out if
 * the log cannot take it.
 */
export async function namedLog(
  flags: NamingFlags,
  isWeaker: (flag: keyof NamingFlags, than: keyof NamingFlags) => boolean,
): Promise<NamedLog> {
  const { logModule, ...others } = flags
  const naming = logModule === undefined ? 'log' : 'logModule'
  const misused = logModule === undefined ? misusedFlags(others) : SERVERS_FLAGS
  const left = Object.entries(others).filter(([name]) => {
    const flag = misused.find((each) => each === name)
    return flag === undefined || !isWeaker(flag, naming)
  })
  const meant = { ...Object.fromEntries(left), log: others.log } as LogFlags
  if (logModule === undefined) return new PlacedLog(await placeOf(meant))
  const first = SERVERS_FLAGS.find((flag) => meant[flag] !== undefined)
  if (first === undefined) return new ModuleLog(logModule)
  throw new UsageError(`${dashed(first)} is for a log on NATS servers, and --log-module names a module`)
}

export class PlacedLog implements NamedLog {
  readonly #place: LogPlace
  readonly name: string
  readonly flags: string | undefined
  readonly isFile: boolean

  constructor(place: LogPlace) {
    this.#place = place
    this.name = placeName(place)
    this.isFile = typeof place === 'string'
    this.flags = typeof place === 'string' ? `--log ${place}` : undefined
  }

  backendFor(): LogBackend {
    return logAt(this.#place)
  }

  nameFor(group: string): string {
    return this.isFile ? this.name : `${this.name} for the group ${JSON.stringify(group)}`
  }

  async remove(group: string): Promise<void> {
    await removeLog(this.#place, group)
  }
}

class ModuleLog implements NamedLog {
  readonly name: string
  readonly flags: string
  readonly isFile = false

  constructor(path: string) {
    this.name = path
    this.flags = `--log-module ${path}`
  }

  backendFor(group: string): LogBackend {
    let loading: Promise<LogBackend> | undefined
    return {
      open: async (init) => {
        loading ??= this.#load(group)
        return await (await loading).open(init)
      },
    }
  }

  nameFor(group: string): string {
    return `${this.name} for the group ${JSON.stringify(group)}`
  }

  async remove(): Promise<void> {
    throw new UsageError('a backend of a module has no way to remove a log')
  }

  async #load(group: string): Promise<LogBackend> {
    return await backendOf(this.name, group).catch((cause) => {
      throw new UsageError(`--log-module: ${asError(cause).message}`, { cause })
    })
  }
}
