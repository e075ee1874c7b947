import { remedyFor } from '../facts/remedies.ts'
import { count, counted, duration, shortId, size } from '../output.ts'
import { type Case, type Cause, namesOf, silence } from './case.ts'

/** Nobody has the state that it needs. */
export function stateLost(one: Case): Cause | undefined {
  const { member, holders, needsSnapshot, trouble } = one
  const isLost = member.state === 'lost'
  if (!needsSnapshot || (!isLost && holders.length > 0)) return undefined
  const first = one.facts.bounds.first
  const told =
    isLost && trouble !== undefined
      ? trouble.message
      : `nobody who runs has the state before entry ${count(first)}, with which the log begins`
  return {
    code: 'state-lost',
    why: `it needs a snapshot, and ${told}. ${whoHadIt(one)}`,
    remedy:
      'start a replica that has the state, with its data directory; or restore checkpoints/ of one from a backup and start it; this one then goes on by itself',
  }
}

function whoHadIt({ facts, member }: Case): string {
  const { silent, authors, bounds } = facts
  const had = silent.filter(
    ({ id, applied, checkpoint }) => id !== member.id && Math.max(applied, checkpoint) + 1 >= bounds.first,
  )
  if (had.length > 0) {
    const since = had.map((one) => `${shortId(one.id)}, at entry ${count(one.applied)}, ${silence(one)}`)
    return `Who had it: ${since.join('; ')}`
  }
  const last = authors.filter(({ id }) => id !== member.id)
  if (last.length === 0) return 'The log and the announcements do not say who had it'
  const wrote = last.map(
    ({ id, atMs }) => `${shortId(id)}, whose newest entry is of ${new Date(atMs).toISOString()}`,
  )
  return `By the log, these had it: ${wrote.join('; ')}`
}

/** Nobody names an anchor. */
export function nobodyLeads({ facts, needsSnapshot, holders }: Case): Cause | undefined {
  if (!needsSnapshot || facts.leader !== undefined) return undefined
  return {
    code: 'no-leader',
    why: `it needs a snapshot, and no replica leads, which names the anchor of each: ${namesOf(holders)} could serve one`,
    remedy:
      'wait for an election, which takes a lease and a few seconds; if nobody leads then, start a replica without --reader, and look at why those that run are not in sync',
  }
}

/** The electors' states differ. */
export function disputed(one: Case): Cause | undefined {
  if (!one.isTroubledBy('DISPUTED')) return undefined
  return {
    code: 'disputed',
    why: `the group does not agree on the root of any snapshot: ${one.trouble!.message}`,
    remedy: remedyFor('DISPUTED')!,
  }
}

/** What it was fetching expired before it was there. */
export function offersExpired(one: Case): Cause | undefined {
  if (!one.isTroubledBy('EXPIRED', 'ANCHOR_GONE', 'UNKNOWN_ANCHOR')) return undefined
  return {
    code: 'offers-expired',
    why: `the offers that it fetched from ended before it had everything: ${one.trouble!.message}`,
    remedy:
      'nothing at first: it asks for a newer anchor and keeps the chunks that it has; if it happens again and again, start the providers with a longer --ttl-ms',
  }
}

/** It cannot cut the state. */
export function cutFailed(one: Case): Cause | undefined {
  if (!one.isTroubledBy('CUT_FAILED')) return undefined
  return {
    code: 'cut-failed',
    why: `no replica can cut the state into a snapshot: ${one.trouble!.message}`,
    remedy: remedyFor('CUT_FAILED')!,
  }
}

/** It is on its way. */
export function catchingUp({ member, needsSnapshot }: Case): Cause | undefined {
  if (!needsSnapshot) return undefined
  const { catchUp, needs } = member
  if (catchUp === undefined) {
    const what =
      needs > 0 ? `the snapshot at entry ${count(needs)}` : 'a snapshot, and waits for the group to make one'
    return { code: 'catching-up', why: `it is catching up: it fetches ${what}`, remedy: WAIT }
  }
  const { phase, anchor, chunks, chunksTotal, bytes, bytesTotal, elapsedMs, providers } = catchUp
  const at = anchor > 0 ? ` at entry ${count(anchor)}` : ''
  if (phase !== 'fetching')
    return {
      code: 'catching-up',
      why: `it is catching up: ${PHASES[phase]}${at}, for ${duration(elapsedMs)} now`,
      remedy: WAIT,
    }
  const rate = providers.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0)
  const leftMs = bytes > 0 ? ((bytesTotal - bytes) / bytes) * elapsedMs : undefined
  const left = leftMs === undefined ? '' : `; about ${duration(leftMs)} are left`
  return {
    code: 'catching-up',
    why: `it is catching up from the snapshot${at}: ${count(chunks)} of ${count(chunksTotal)} chunks are here, ${size(bytes)} of ${size(bytesTotal)}, from ${namesOf(providers.map(({ peer }) => ({ id: peer }))) || 'nobody yet'}, ${size(rate)} a second over the wire now${left}`,
    remedy: WAIT,
  }
}

const WAIT = 'wait; "anchorage status --watch" shows it'

const PHASES = {
  requesting: 'it asks the leader for the anchor of a snapshot',
  choosing: 'it waits for the snapshot to be cut',
  verifying: 'every chunk is here, and it waits for the group to agree on the root',
  installing: 'it installs the snapshot',
  replaying: 'the snapshot is installed, and it applies the log since',
} as const

/** It applies the log. */
export function following({ member, facts, appliedSince, account }: Case): Cause {
  const applied = account?.applied ?? member.applied
  const where = `it applies the log, and is at entry ${count(applied)} of ${count(facts.bounds.newest.index)}`
  const so = `${where}, ${counted(facts.lagOf({ applied }), 'entry', 'entries')} behind`
  if (appliedSince > 0)
    return {
      code: 'following',
      why: `${so}: ${count(appliedSince)} fewer than a second or so ago`,
      remedy: WAIT,
    }
  return {
    code: 'following',
    why: `${so}, and it has announced no progress for a second`,
    remedy: `${WAIT}; if it does not move, "anchorage doctor" where it runs looks at the log and the disk from there`,
  }
}

/** It comes nearer, whatever troubled it before. */
export function moving(one: Case): Cause | undefined {
  if (!one.moves) return undefined
  const cause = one.needsSnapshot ? catchingUp(one) : following(one)
  const { trouble } = one
  if (cause === undefined || trouble === undefined) return cause
  return { ...cause, why: `${cause.why}. Its newest problem (${trouble.code}): ${trouble.message}` }
}
