import type { GroupFacts } from '../facts/group-facts.ts'
import { span } from '../facts/span.ts'
import { count, shortId } from '../output.ts'
import type { Cause } from './case.ts'

const CHECK = 'look whether its process runs, and what its own output says'
const DOCTOR = 'run "anchorage doctor" where it runs, with its flags'

/** Why a replica cannot be seen in this log. */
export function unseen(name: string, facts: GroupFacts): Cause {
  const end = name.replace(/^…/, '')
  const is = ({ id }: { readonly id: string }) => end !== '' && id.endsWith(end)
  const { place, group, running, bounds } = facts
  const elsewhere = facts.elsewhere.find(is)
  if (elsewhere !== undefined) {
    return {
      code: 'other-epoch',
      why: `it follows another incarnation of the log, of epoch ${elsewhere.epoch}, and this one is of ${bounds.epoch}: the log was made anew, or it opened another one under the same name`,
      remedy: `compare --log of both; to have it begin anew in this log, restart it with --new-log once`,
    }
  }
  const silent = facts.silent.find(is)
  if (silent?.state === 'stopped') {
    return {
      code: 'stopped',
      why: `it stopped ${span(silent.ageMs)} ago, at entry ${count(silent.applied)}, and took its leave`,
      remedy: 'start it again',
    }
  }
  if (silent !== undefined) {
    return {
      code: 'silent',
      why: `it has announced nothing for ${span(silent.ageMs)}; it was ${silent.state} at entry ${count(silent.applied)} then. Its process ended or hangs, or it does not reach ${place}`,
      remedy: `${CHECK}; ${DOCTOR}`,
    }
  }
  const those = running.map(({ id }) => shortId(id)).join(', ')
  return {
    code: 'not-seen',
    why: `${running.length === 0 ? 'no replica announces itself' : `no replica of that name announces itself: ${those} do`} in ${place} under the group ${JSON.stringify(group)}. It has another --log, --group or --log-module, or follows another incarnation of the log than epoch ${bounds.epoch}; or its process does not run, was refused at its start, or does not reach the log`,
    remedy: `${CHECK}; compare its --log and --group with those of this command; ${DOCTOR}`,
  }
}
