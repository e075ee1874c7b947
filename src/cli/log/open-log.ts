import { randomUUID } from 'node:crypto'
import { LogMissing } from '../../log/errors.ts'
import type { Log, LogBackend, LogInit } from '../../log/log.ts'
import type { Context } from '../context.ts'
import { machineOf, matching } from '../machine-module.ts'

/** The log, made if there is none. Ctrl-C ends the opening. */
export function logOf({ log, group, signal }: Pick<Context, 'log' | 'group' | 'signal'>): LogBackend {
  const backend = log.backendFor(group)
  return { open: (init) => backend.open({ ...init, signal }) }
}

/** For commands that must not begin a log: opening throws `LogMissing` rather than make an empty one. */
export function existingLog(context: Context): LogBackend {
  return {
    async open(init) {
      try {
        return await logOf(context).open({ ...init, create: false })
      } catch (error) {
        if (!(error instanceof LogMissing)) throw error
        throw new LogMissing(nameOf(context), ADVICE)
      }
    },
  }
}

const ADVICE =
  'name another with --log, or begin one with "anchorage node" or "import", or with "set" or "load" and --create'

/** For commands that may begin a log: it is made if there is none, and `onMade` is called then. */
export function newLog(context: Context, onMade: (log: Log) => void): LogBackend {
  return {
    async open(init) {
      try {
        return await existingLog(context).open(init)
      } catch (error) {
        if (!(error instanceof LogMissing) || init.create === false) throw error
      }
      const log = await logOf(context).open(init)
      onMade(log)
      return log
    },
  }
}

/** The log's name for people. */
export function nameOf({ log, group }: Context): string {
  return log.nameFor(group)
}

/** What a machine speaks. */
export type Speaker = Required<Pick<LogInit, 'signature'>> & Pick<LogInit, 'older'>

/** Open the log of a machine, use it, and close it. Default: the machine is a map. */
export async function withLog<T>(
  { group }: Context,
  backend: LogBackend,
  use: (log: Log) => Promise<T>,
  speaker?: Speaker,
): Promise<T> {
  const { signature, older = [] } = speaker ?? (await machineOf(undefined))
  return await useAndClose(await backend.open({ group, signature, older, author: anAuthor() }), use)
}

/** The same for a command that needs no machine. The log may be of any, and is never made. */
export async function withAnyLog<T>(
  { group }: Context,
  backend: LogBackend,
  use: (log: Log) => Promise<T>,
): Promise<T> {
  return await useAndClose(await backend.open({ group, create: false, author: anAuthor() }), use)
}

/** Open a log that is there, whatever machine it is of. The caller closes it. */
export async function openAnyLog(context: Context): Promise<Log> {
  return await existingLog(context).open({ group: context.group, create: false, author: anAuthor() })
}

/** For commands that write to a map: a log of another machine takes `submit`. */
export function ofMap(context: Context, backend: LogBackend): LogBackend {
  return {
    async open(init) {
      const machine = await machineOf(undefined)
      const advice = 'write to it with "anchorage submit"'
      return await matching(backend, { machine, path: undefined, log: nameOf(context), advice }).open(init)
    },
  }
}

/** The newest version that is known of the machine that a log is of. */
export function signatureOf({ signature, upgraded }: Pick<Log, 'signature' | 'upgraded'>): string {
  return upgraded ?? signature
}

function anAuthor(): string {
  return `cli-${randomUUID().slice(0, 8)}`
}

async function useAndClose<T>(log: Log, use: (log: Log) => Promise<T>): Promise<T> {
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}
