import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { LogMissing } from '../log/errors.ts'
import type { Log, LogBackend } from '../log/log.ts'
import { logAt } from '../log/log-at.ts'
import { ReplicatedMap } from '../machine/replicated-map.ts'
import type { Context } from './context.ts'
import { placeName } from './log-place.ts'

/** The log, made where there is none. Ctrl-C ends the opening. */
export function logOf({ log, signal }: Pick<Context, 'log' | 'signal'>): LogBackend {
  return { open: (init) => logAt(log).open({ ...init, signal }) }
}

/** For commands that read: opening throws `LogMissing` rather than make an empty log. */
export function existingLog(context: Context): LogBackend {
  const { log, group } = context
  return {
    async open(init) {
      if (typeof log === 'string') {
        if (!existsSync(log)) throw missing(log)
        return await logOf(context).open(init)
      }
      try {
        return await logOf({ ...context, log: { ...log, create: false } }).open(init)
      } catch (error) {
        if (!(error instanceof LogMissing)) throw error
        throw missing(`${placeName(log)} for the group ${JSON.stringify(group)}`)
      }
    },
  }
}

function missing(place: string): LogMissing {
  return new LogMissing(place, 'name another with --log, or make one with "anchorage node", "set" or "load"')
}

/** Open the log of a map, use it, and close it. */
export async function withLog<T>(
  { group }: Context,
  backend: LogBackend,
  use: (log: Log) => Promise<T>,
): Promise<T> {
  const { signature } = new ReplicatedMap()
  const author = `cli-${randomUUID().slice(0, 8)}`
  const log = await backend.open({ group, signature, author })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}
