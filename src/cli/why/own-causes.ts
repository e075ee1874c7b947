import { ERRORS_PAGE, remedyFor } from '../facts/remedies.ts'
import type { Case, Cause } from './case.ts'

const ITS_OUTPUT = 'its own output, and /readyz where it has --http, say why'

/** Two processes have one identity. */
export function contested({ member }: Case): Cause | undefined {
  if (member.contested !== true) return undefined
  return {
    code: 'contested',
    why: 'two processes run with its identity: a copy of its data directory, or of its key',
    remedy: remedyFor('IDENTITY_IN_USE')!,
  }
}

/** It stopped applying for good. */
export function halted({ member, account }: Case): Cause | undefined {
  if (member.state !== 'halted') return undefined
  const { failure } = account ?? {}
  return {
    code: 'halted',
    why:
      failure === undefined
        ? `it has halted, and does not say why from here; ${ITS_OUTPUT}`
        : `it has halted (${failure.code}): ${failure.message}`,
    remedy:
      (failure && remedyFor(failure.code)) ??
      `look the error up in ${ERRORS_PAGE}, mend the cause, and restart it`,
  }
}

/** Its program does not have the version of the machine that the group speaks. */
export function otherSignature({ member, facts }: Case): Cause | undefined {
  if (facts.speaks(member)) return undefined
  const itself = member.signature === undefined ? 'another one' : JSON.stringify(member.signature)
  return {
    code: 'other-signature',
    why: `the group speaks ${JSON.stringify(facts.signature)}, and its program speaks ${itself} only: it can neither apply the commands nor install a snapshot`,
    remedy: remedyFor('UPGRADE_REQUIRED')!,
  }
}

/** The disk is full, for its data directory or the log's file. */
export function fullDisk(one: Case): Cause | undefined {
  const message = one.trouble?.message ?? ''
  if (!one.isTroubledBy('ENOSPC') && !/ENOSPC|disk.* full|disk or directory is full/.test(message))
    return undefined
  return { code: 'full-disk', why: `a disk is full: ${message}`, remedy: remedyFor('ENOSPC')! }
}

/** It does not reach the servers of the log, which this command does. */
export function logOutOfReach({ account, facts }: Case): Cause | undefined {
  if (account?.logConnected !== false) return undefined
  return {
    code: 'log-out-of-reach',
    why: `it cannot reach the log's servers, and this command can (${facts.place})${account.problem === undefined ? '' : `; its newest problem: ${account.problem.message}`}`,
    remedy:
      'run "anchorage doctor" where it runs, with its flags: look at the network, the names and the firewall there',
  }
}

/** Its state is not the group's, and nobody has given it another one yet. */
export function diverged(one: Case): Cause | undefined {
  if (!one.isTroubledBy('DIVERGED')) return undefined
  return {
    code: 'diverged',
    why: `its state is not the one that the group agreed on, and it waits for another one: ${one.trouble!.message}`,
    remedy: remedyFor('DIVERGED')!,
  }
}

/** Its newest problem, where no rule knows it better. */
export function ownProblem({ trouble }: Case): Cause | undefined {
  if (trouble === undefined) return undefined
  return {
    code: 'own-problem',
    why: `its newest problem (${trouble.code}): ${trouble.message}`,
    remedy: remedyFor(trouble.code) ?? `look the error up in ${ERRORS_PAGE}`,
  }
}

/** It opens its log and reads its checkpoints. */
export function starting({ member }: Case): Cause | undefined {
  if (member.state !== 'starting') return undefined
  return {
    code: 'starting',
    why: 'it is starting: it reads its checkpoints and checks each chunk of them',
    remedy: 'wait; a large state takes a second or two for each gigabyte',
  }
}
