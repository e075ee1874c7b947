import type { AnchorView, PageView } from '../view.ts'
import { count, counted, shortId } from './format.ts'
import { stateName } from './states.ts'

/** What changed from one view to the next that is worth saying aloud: sentences, the weightiest first. */
export function transitions(before: PageView, after: PageView): string[] {
  if (before.self !== after.self) return [`The page shows replica ${shortId(after.self)} now.`]
  return [
    ...ofThisReplica(before, after),
    ...ofCatchUps(before, after),
    ...ofAnchors(before, after),
    ...ofMembers(before, after),
  ]
}

function* ofThisReplica(before: PageView, after: PageView): Generator<string> {
  if (before.state !== after.state)
    yield `This replica is ${stateName(after.state)}${after.reason === undefined ? '' : `: ${after.reason}`}.`
  if (before.leader !== after.leader)
    yield after.leader === undefined
      ? 'Nobody leads.'
      : `${shortId(after.leader)} leads, term ${count(after.term)}.`
  if (before.log.connected !== after.log.connected)
    yield after.log.connected ? 'The log can be reached again.' : 'The log cannot be reached.'
}

function* ofCatchUps(before: PageView, after: PageView): Generator<string> {
  const [had, has] = [before, after].map(({ catchUps }) => new Map(catchUps.map((it) => [it.id, it])))
  for (const [id, { member, phase }] of has!) {
    const earlier = had!.get(id)
    if (earlier === undefined) yield `${shortId(member)} began to catch up.`
    else if (earlier.phase !== phase) yield `${shortId(member)}: ${phase}.`
  }
  const states = new Map(after.members.map(({ id, state }) => [id, state]))
  for (const [id, { member }] of had!) {
    if (has!.has(id)) continue
    yield states.get(member) === 'in-sync'
      ? `${shortId(member)} caught up.`
      : `The catch-up of ${shortId(member)} ended.`
  }
}

function* ofAnchors(before: PageView, after: PageView): Generator<string> {
  const had = new Map<number, AnchorView>(before.anchors.map((anchor) => [anchor.index, anchor]))
  for (const { index, state } of after.anchors) {
    if (state === 'open' || had.get(index)?.state === state) continue
    // One that this page never saw open is news only if it is the newest.
    if (had.has(index) || index > (before.anchors.at(-1)?.index ?? 0))
      yield `Anchor ${count(index)} is ${state}.`
  }
}

function* ofMembers(before: PageView, after: PageView): Generator<string> {
  const had = new Map(before.members.map((member) => [member.id, member]))
  const joined = after.members.filter(({ id, silent }) => !silent && had.get(id)?.silent !== false)
  const silent = after.members.filter(({ id, silent }) => silent && had.get(id)?.silent === false)
  if (joined.length > 0) yield told(joined, 'is there', 'are there')
  if (silent.length > 0) yield told(silent, 'fell silent', 'fell silent')
}

function told(members: readonly { readonly id: string }[], one: string, many: string): string {
  return members.length === 1
    ? `${shortId(members[0]!.id)} ${one}.`
    : `${counted(members.length, 'replica')} ${many}.`
}
