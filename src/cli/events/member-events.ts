import type { CatchUpProgress } from '../../group/catch-up-progress.ts'
import type { Member } from '../../group/membership.ts'
import type { GroupEvent } from './group-event.ts'

/** A catch-up is told anew when it has come so much further, as a part of the whole. */
const STEP = 1 / 4

/** Says what became of members, by what they announce. It remembers those that are members, and nothing else. */
export class MemberEvents {
  #known: ReadonlyMap<string, Member> | undefined
  /** What was told last of the catch-up of each member. */
  readonly #told = new Map<string, CatchUpProgress>()

  /**
   * @param members all that are members now. Those without an address are commands that ask, and no replicas
   * @param nowMs by the clock that they announced themselves by
   * @param atMs the same moment, in milliseconds since 1970
   */
  look(members: readonly Member[], nowMs: number, atMs: number): GroupEvent[] {
    const before = this.#known
    const known = new Map(members.filter(isReplica).map((member) => [member.id, member]))
    this.#known = known
    const gone = [...(before?.values() ?? [])].filter(({ id }) => !known.has(id))
    return [
      ...gone.flatMap((member) => this.#gone(member, nowMs, atMs)),
      ...[...known.values()].flatMap((member) => [
        ...came(member, before, atMs),
        ...this.#catchUp(member, atMs),
      ]),
    ]
  }

  #gone({ id: member, state, announcedAtMs, untilMs }: Member, nowMs: number, atMs: number): GroupEvent[] {
    const one = { atMs, index: null, member }
    const announcedMsAgo = Math.max(0, Math.round(nowMs - announcedAtMs))
    return [
      ...this.#ended(member, null, atMs),
      // A member that takes its leave removes its announcement before that expires.
      untilMs > nowMs
        ? { event: 'left', ...one, detail: { state } }
        : { event: 'silent', ...one, detail: { state, announcedMsAgo } },
    ]
  }

  #catchUp({ id: member, state, catchUp: now }: Member, atMs: number): GroupEvent[] {
    const told = this.#told.get(member)
    if (now === undefined) return this.#ended(member, state, atMs)
    if (told !== undefined && now.id === told.id && !isFurther(told, now)) return []
    const { id, phase, anchor, chunks, chunksTotal, bytes, bytesTotal, elapsedMs, providers } = now
    const isNew = told?.id !== id
    const ended = isNew ? this.#ended(member, state, atMs) : []
    this.#told.set(member, now)
    const detail = {
      ...{ id, phase, anchor, chunks, chunksTotal, bytes, bytesTotal, elapsedMs },
      providers: providers.length,
    }
    return [...ended, { event: isNew ? 'catch-up-began' : 'catch-up', atMs, index: null, member, detail }]
  }

  #ended(member: string, state: Member['state'] | null, atMs: number): GroupEvent[] {
    const told = this.#told.get(member)
    if (told === undefined) return []
    this.#told.delete(member)
    const detail = { id: told.id, anchor: told.anchor, state }
    return [{ event: 'catch-up-ended', atMs, index: null, member, detail }]
  }
}

function isReplica({ addresses, state }: Member): boolean {
  return addresses.length > 0 && state !== 'stopped'
}

function came(
  { id: member, state, applied: position, addresses }: Member,
  known: ReadonlyMap<string, Member> | undefined,
  atMs: number,
): GroupEvent[] {
  const one = { atMs, index: null, member }
  const before = known?.get(member)
  if (before === undefined) {
    const event = known === undefined ? 'present' : 'joined'
    return [{ event, ...one, detail: { state, position, addresses } }]
  }
  if (before.state === state) return []
  return [{ event: 'state', ...one, detail: { state, from: before.state, position } }]
}

/** By a phase, another anchor, or a step of its chunks. */
function isFurther(told: CatchUpProgress, now: CatchUpProgress): boolean {
  if (now.phase !== told.phase || now.anchor !== told.anchor) return true
  return stepOf(now) > stepOf(told)
}

function stepOf({ chunks, chunksTotal }: CatchUpProgress): number {
  return chunksTotal === 0 ? 0 : Math.floor(chunks / chunksTotal / STEP)
}
