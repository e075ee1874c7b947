import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Log } from '../log/log.ts'
import { sqliteLog } from '../log/sqlite.ts'
import { ReplicatedMap } from '../machine/replicated-map.ts'
import type { Context, GlobalOptions } from './context.ts'
import { LogMissing } from './errors.ts'

/** Throws `LogMissing` rather than letting a command that reads make an empty log. */
export function assertLogExists({ log }: GlobalOptions): void {
  if (!existsSync(log)) throw new LogMissing(log)
}

/** Open the log of a map, use it, and close it. It is made if there is none. */
export async function withLog<T>(context: Context, use: (log: Log) => Promise<T>): Promise<T> {
  const { group, signal } = context
  const { signature } = new ReplicatedMap()
  const author = `cli-${randomUUID().slice(0, 8)}`
  const log = await sqliteLog({ path: context.log }).open({ group, signature, author, signal })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}
