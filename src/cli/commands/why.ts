import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../log/log.ts'
import { plainText } from '../../plain-text.ts'
import { type Context, EXIT } from '../context.ts'
import type { Announced } from '../facts/announced.ts'
import { GroupFacts } from '../facts/group-facts.ts'
import { type Heard, Interviews } from '../facts/interviews.ts'
import { existingLog, signatureOf, withAnyLog } from '../log/open-log.ts'
import { count, counted, type Output, shortId } from '../output.ts'
import { Case, type Cause, silence } from '../why/case.ts'
import { causeOf } from '../why/causes.ts'
import { type ClockCause, clockCauses } from '../why/clock-causes.ts'
import { unseen } from '../why/unseen.ts'
import { networkOf } from './network-key.ts'

/** Replicas out of sync that are explained. There is one cause for so many, most likely. */
const EXPLAINED_MAX = 32
/** Of those that could serve the others, so many are asked, beside the leader. */
const HOLDERS_ASKED = 8
/** Time between the two looks that tell who comes nearer, in milliseconds: announcements are renewed each second. */
const LOOKS_APART_MS = 1_500
/** How long all replicas together are waited for, in milliseconds. */
const ASKING_MS = 15_000

/** What is told of one replica. */
interface Explained extends Cause {
  /** Its PeerId; what was asked for if nobody of that name is there; null: no replica is there at all. */
  readonly replica: string | null
  readonly state: string | null
  readonly position: number | null
}

/**
 * Explains what keeps replicas from being in sync, by what the log and the announcements say, and what the replicas
 * say when they are asked. Nothing is changed anywhere.
 */
export async function why(context: Context, name: string | undefined): Promise<number> {
  const { output } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    const before = await GroupFacts.gather(log, context)
    const subjects = subjectsOf(before, name)
    if (subjects === undefined) return tell(context, before, [unseenAs(name!, before)])
    if (subjects.length === 0) return nothingToExplain(context, before)
    const work = explain(context, log, { before, subjects })
    const { facts, explained, clocks } = await output.waiting('asking the replicas', work)
    return tell(context, facts, explained, clocks)
  })
}

/** Undefined: nobody who runs has that name. */
function subjectsOf({ running }: GroupFacts, name: string | undefined): Announced[] | undefined {
  if (name === undefined) return running.filter(isUnwell).slice(0, EXPLAINED_MAX)
  const end = name.replace(/^…/, '')
  const named = running.filter(({ id }) => id.endsWith(end))
  return named.length === 0 ? undefined : named
}

function isUnwell({ state, contested }: Announced): boolean {
  return state !== 'in-sync' || contested === true
}

interface Look {
  readonly before: GroupFacts
  readonly subjects: readonly Announced[]
}

async function explain(context: Context, log: Log, { before, subjects }: Look) {
  const { group, signal } = context
  const apart = delay(LOOKS_APART_MS, undefined, { signal })
  apart.catch(() => {})
  const heard = await interviewed(context, log, [...subjects, ...witnessesOf(before)])
  await apart
  const facts = await GroupFacts.gather(log, { group, log: context.log, signal })
  const explained = subjects.map((earlier) => {
    const member = facts.running.find(({ id }) => id === earlier.id)
    if (member === undefined) return unseenAs(earlier.id, facts)
    return explainedOf(new Case({ facts, member, heard, earlier }))
  })
  return { facts, explained, clocks: clockCauses(heard) }
}

/** The replicas whose answers tell whether the others can be served: the leader, and holders of the state. */
function witnessesOf({ leader, running }: GroupFacts): Announced[] {
  const holders = running.filter(({ state, offers }) => state === 'in-sync' || offers.length > 0)
  return [...(leader ? [leader] : []), ...holders.slice(0, HOLDERS_ASKED)]
}

async function interviewed(
  context: Context,
  log: Log,
  members: readonly Announced[],
): Promise<Map<string, Heard>> {
  const { group } = context
  const network = await networkOf(context)
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(ASKING_MS)])
  const each = [...new Map(members.map((member) => [member.id, member])).values()]
  try {
    await using interviews = await Interviews.begin({
      group,
      signature: signatureOf(log),
      log,
      signal,
      ...network,
    })
    return await interviews.with(each)
  } catch {
    // No replica answers a process that cannot announce itself in the log. The announcements tell much by themselves.
    context.signal.throwIfAborted()
    return new Map()
  }
}

function explainedOf(one: Case): Explained {
  const { member, account } = one
  const state = account?.state ?? member.state
  const stands = { replica: member.id, state, position: account?.applied ?? member.applied }
  if (state === 'in-sync' && member.contested !== true)
    return { ...stands, code: 'in-sync', why: 'it is in sync', remedy: '' }
  return { ...stands, ...causeOf(one) }
}

function unseenAs(name: string | null, facts: GroupFacts): Explained {
  return { replica: name, state: null, position: null, ...unseen(name ?? '', facts) }
}

function nothingToExplain(context: Context, facts: GroupFacts): number {
  const { running } = facts
  if (running.length === 0) return tell(context, facts, [unseenAs(null, facts)])
  return tell(context, facts, [])
}

function tell(
  { output }: Context,
  facts: GroupFacts,
  explained: readonly Explained[],
  clocks: readonly ClockCause[] = [],
): number {
  const well = clocks.length === 0 && explained.every(({ code }) => code === 'in-sync')
  if (output.json) output.object({ well, ...forPrograms(facts), replicas: explained, clocks })
  else for (const line of forPeople(facts, explained, clocks, output)) output.line(line)
  return well ? EXIT.ok : EXIT.unwell
}

function forPrograms({ place: log, group, bounds, silent }: GroupFacts): object {
  const gone = silent.map(({ id, state, applied, ageMs }) => {
    return { id, state, position: applied, silentMs: Math.round(ageMs) }
  })
  return { log, group, ...bounds, silent: gone }
}

function forPeople(
  facts: GroupFacts,
  explained: readonly Explained[],
  clocks: readonly ClockCause[],
  output: Output,
): string[] {
  const { running, silent, bounds } = facts
  const lines = explained.flatMap((one) => {
    const { replica, state, position } = one
    const stands =
      state === null ? '' : `  ${state}, entry ${count(position!)} of ${count(bounds.newest.index)}`
    const name = replica === null ? 'the group' : plainText(shortId(replica))
    return paragraph(`${name}${stands}`, one, output)
  })
  for (const clock of clocks) {
    const whose = clock.replica === null ? 'this machine' : plainText(shortId(clock.replica))
    lines.push(...paragraph(`the clock of ${whose}`, clock, output))
  }
  if (explained.length === 0) lines.push(`${counted(running.length, 'replica')} in sync; ${ONE_MISSING}`)
  for (const one of silent) {
    const name = plainText(shortId(one.id))
    lines.push(`${name} is not here: ${silence(one)}, at entry ${count(one.applied)}`)
  }
  return lines
}

function paragraph(title: string, { why, remedy, code }: Cause, output: Output): string[] {
  return [
    output.style('bold', title),
    `  why         ${plainText(why)}`,
    ...(remedy === '' ? [] : [`  what to do  ${plainText(remedy)}`]),
    output.style('dim', `  code        ${code}`),
  ]
}

const ONE_MISSING =
  'one that is missing here does not announce itself in this log: run "anchorage doctor" where it runs, with its flags'
