import type { Case, Cause, Rule } from './case.ts'
import {
  contested,
  diverged,
  fullDisk,
  halted,
  logOutOfReach,
  otherSignature,
  ownProblem,
  starting,
} from './own-causes.ts'
import { otherNetworkKey, outOfReach, providersOutOfReach, unserved } from './reach-causes.ts'
import {
  catchingUp,
  cutFailed,
  disputed,
  following,
  moving,
  nobodyLeads,
  offersExpired,
  stateLost,
} from './snapshot-causes.ts'

/** The first that fits is the cause: what must be mended first comes first. */
const RULES: readonly Rule[] = [
  contested,
  halted,
  otherSignature,
  moving,
  fullDisk,
  logOutOfReach,
  otherNetworkKey,
  diverged,
  disputed,
  cutFailed,
  stateLost,
  nobodyLeads,
  providersOutOfReach,
  offersExpired,
  unserved,
  ownProblem,
  outOfReach,
  starting,
  catchingUp,
]

/** What keeps a replica from being in sync. */
export function causeOf(one: Case): Cause {
  for (const rule of RULES) {
    const cause = rule(one)
    if (cause !== undefined) return cause
  }
  return following(one)
}
