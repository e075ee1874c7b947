import type { Belonging } from '../../checkpoint/belonging.ts'
import { LogMissing } from '../../log/errors.ts'
import type { Log, LogInit } from '../../log/log.ts'
import type { KeptState } from '../disk/kept-state.ts'
import type { ReplicaInit } from '../init.ts'

/** Where a replica may hold a state of its log. */
export interface Holdings {
  /** Its data directory. */
  readonly belonging: Belonging | undefined
  /** Its machine. */
  readonly kept: KeptState | undefined
}

/**
 * Open a replica's log. If its data directory or its machine holds a state, the log must be the one that this state is of:
 * an empty log in its place must not become the truth. See `ReplicaInit.newLog`.
 */
export async function openLog<Result>(
  { group, machine, log: backend, newLog = false }: ReplicaInit<Result>,
  by: Pick<LogInit, 'author' | 'onProblem'>,
  { belonging, kept }: Holdings,
): Promise<Log> {
  const { signature, older = [] } = machine
  const of = { group, signature, older, ...by }
  const holds = kept?.newest !== undefined || (await belonging?.holdsState())
  if (!holds) {
    const log = await backend.open(of)
    kept?.belongTo(log.epoch, { giveUp: newLog })
    return log
  }
  const log = await backend.open({ ...of, create: newLog }).catch(async (error: unknown) => {
    if (error instanceof LogMissing) {
      kept?.belongTo(error, { giveUp: false })
      await belonging?.assert(error)
    }
    throw error
  })
  try {
    if (newLog) await belonging?.tell(log.epoch)
    else await belonging?.assert(log.epoch)
    kept?.belongTo(log.epoch, { giveUp: newLog })
    return log
  } catch (error) {
    await log.close()
    throw error
  }
}
