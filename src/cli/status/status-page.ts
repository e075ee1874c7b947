import { plainText } from '../../plain-text.ts'
import { count, counted, duration, shortId } from '../output.ts'
import { tableLines } from '../table.ts'
import { acceptedKeys } from './accepted-keys.ts'
import { catchUpRow } from './catch-up-row.ts'
import type { Seen, SeenMember } from './group-look.ts'
import { fitted, type Line, type Section } from './sections.ts'

/** What was seen, and what a replica answered. */
export type Status = Seen & {
  /** What the group speaks. */
  readonly signature: string
  /** Null: no replica answered. */
  readonly format: number | null
}

export interface Looks {
  /** Show addresses, checkpoints, processes and offers of each replica. */
  readonly wide: boolean
  /** The width of a line that the page may rely on. */
  readonly columns: number
  /** How many lines there are; `Infinity`: any number. */
  readonly rows: number
}

/** What is shown of a machine's signature in a table, in characters. */
const SIGNATURE_LENGTH_MAX = 24

/** A status for people, as lines. Nothing that a peer wrote in it is obeyed by a terminal. */
export function statusPage(status: Status, looks: Looks): Line[] {
  const head = headOf(status)
  // Commands that ask are members for a moment.
  const members = status.members.filter(({ addresses }) => addresses.length > 0)
  if (Number.isFinite(looks.rows)) members.sort((a, b) => weight(b, status) - weight(a, status))
  const sections = [replicas(status, members)]
  if (looks.wide && members.length > 0) sections.push(details(members))
  if (status.catchUps.length > 0) sections.push(catchUps(status, looks))
  if (status.silent.length > 0) sections.push(silent(status))
  if (members.length > 0 && !looks.wide) sections.push(offers(members))
  return [...head, ...fitted(sections, looks.rows - head.length)]
}

function headOf({
  log,
  group,
  epoch,
  first,
  newest,
  leader,
  term,
  signature,
  format,
  members,
}: Status): Line[] {
  const keys = acceptedKeys(members)
  const held = newest.index - first + 1
  return [
    `log       ${log}, group ${group}, epoch ${epoch.slice(0, 8)}`,
    `machine   ${signature}${format === null ? '' : `, group format ${format}`}`,
    held > 0
      ? `entries   ${count(first)} to ${count(newest.index)} (${count(held)} readable)`
      : `entries   none readable; the next is ${count(newest.index + 1)}`,
    `leader    ${leader === null ? 'nobody has announced that it leads' : `${shortId(leader)}, term ${term}`}`,
    ...(keys === undefined ? [] : [`keys      ${keys}`]),
  ].map((text) => ({ text: plainText(text) }))
}

/** Where not all have room: the leader first, then those that are not in sync. */
function weight({ id, state }: SeenMember, { leader }: Status): number {
  return id === leader ? 2 : state === 'in-sync' ? 0 : 1
}

function replicas({ leader, signature }: Status, members: readonly SeenMember[]): Section {
  if (members.length === 0) return { head: [{ text: 'no replica is running' }], rows: [], rest }
  const differ = members.some((member) => member.signature !== null && member.signature !== signature)
  const columns = ['replica', 'state', 'position', 'lag', 'needs', 'version', 'announced ago']
  const cells = members.map((member) => {
    const { id, state, position, lag, needs, version, announcedMsAgo } = member
    const speaks = differ ? [short(member.signature ?? '')] : []
    return [
      `${shortId(id)}${id === leader ? ' *' : ''}`,
      ...[state, count(position), count(lag), needs > 0 ? `anchor ${count(needs)}` : '', version ?? ''],
      ...[duration(announcedMsAgo), ...speaks],
    ]
  })
  const contested = members.flatMap(({ id, contested }): Line[][] =>
    contested
      ? [[{ text: `two processes have the identity of ${shortId(id)}: stop one of them`, style: 'red' }]]
      : [],
  )
  const table = section([...columns, ...(differ ? ['machine'] : [])], cells)
  const restOf = (hidden: number) => `${rest(hidden)}: ${statesOf(members.slice(members.length - hidden))}`
  return { head: [...contested.flat(), ...table.head], rows: table.rows, rest: restOf }
}

function details(members: readonly SeenMember[]): Section {
  const rows = members.map((member) => {
    const { id, version, signature, format, process, checkpoint, durable, addresses, offers } = member
    const kept = checkpoint > 0 ? `checkpoint of entry ${count(checkpoint)}` : 'no checkpoint yet'
    const offered = offers.map(({ anchor, ready, remainingMs }) => {
      return `anchor ${count(anchor)} (${ready ? `lapses in ${duration(remainingMs)}` : 'being cut'})`
    })
    return [
      id,
      `  version ${version ?? 'not told'}, machine ${signature ?? 'not told'}, format ${format}`,
      `  ${durable ? kept : 'in memory'}, process ${process === '' ? 'not told' : process}`,
      `  at ${addresses.join(' ')}`,
      `  offers ${offered.length === 0 ? 'nothing' : offered.join(', ')}`,
    ].map((text) => ({ text: plainText(text) }))
  })
  return { head: [], rows, rest }
}

function catchUps({ catchUps: all }: Status, { columns }: Looks): Section {
  const rows = all.map((catchUp) => catchUpRow(catchUp, columns))
  return { head: [{ text: `${counted(all.length, 'catch-up')} now`, style: 'bold' }], rows, rest }
}

function silent({ silent: all }: Status): Section {
  const cells = all.map(({ id, state, position, version, silentMsAgo, tookLeave }) => [
    ...[shortId(id), tookLeave ? 'took its leave' : 'fell silent', duration(silentMsAgo)],
    ...[state, count(position), version ?? ''],
  ])
  return section(['gone replica', 'how', 'ago', 'last state', 'position', 'version'], cells)
}

function offers(members: readonly SeenMember[]): Section {
  const cells = members.flatMap(({ id, offers }) =>
    offers.map(({ anchor, ready, remainingMs }) => [
      ...[count(anchor), shortId(id), ready ? duration(remainingMs) : 'being cut'],
    ]),
  )
  if (cells.length === 0) return { head: [{ text: 'no live offers' }], rows: [], rest }
  return section(['offered anchor', 'by', 'lapses in'], cells)
}

function section(columns: readonly string[], cells: readonly (readonly string[])[]): Section {
  const [head, ...rows] = tableLines(columns, cells)
  return { head: [{ text: head!, style: 'bold' }], rows: rows.map((text) => [{ text }]), rest }
}

function rest(hidden: number): string {
  return `and ${count(hidden)} more`
}

/** "178 in-sync, 2 following". */
function statesOf(members: readonly SeenMember[]): string {
  const counts = new Map<string, number>()
  for (const { state } of members) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [...counts].map(([state, members]) => `${count(members)} ${state}`).join(', ')
}

function short(signature: string): string {
  return signature.length <= SIGNATURE_LENGTH_MAX
    ? signature
    : `${signature.slice(0, SIGNATURE_LENGTH_MAX - 1)}…`
}
