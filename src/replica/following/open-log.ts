import type { Belonging } from '../../checkpoint/belonging.ts'
import { LogMissing } from '../../log/errors.ts'
import type { Log, LogInit } from '../../log/log.ts'
import type { ReplicaInit } from '../init.ts'

/**
 * Open a replica's log. If its data directory holds a state, the log must be the one that this state is of:
 * an empty log in its place must not become the truth. See `ReplicaInit.newLog`.
 */
export async function openLog<Result>(
  { group, machine, log: backend, newLog = false }: ReplicaInit<Result>,
  by: Pick<LogInit, 'author' | 'onProblem'>,
  belonging: Belonging | undefined,
): Promise<Log> {
  const of = { group, signature: machine.signature, ...by }
  if (!(await belonging?.holdsState())) return await backend.open(of)
  const log = await backend.open({ ...of, create: newLog }).catch(async (error: unknown) => {
    if (error instanceof LogMissing) await belonging?.assert(error)
    throw error
  })
  try {
    if (newLog) await belonging?.tell(log.epoch)
    else await belonging?.assert(log.epoch)
    return log
  } catch (error) {
    await log.close()
    throw error
  }
}
