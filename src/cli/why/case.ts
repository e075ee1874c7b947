import type { Account, ToldError } from '../facts/account.ts'
import type { Announced } from '../facts/announced.ts'
import type { GroupFacts } from '../facts/group-facts.ts'
import type { Heard } from '../facts/interviews.ts'
import { span } from '../facts/span.ts'
import { shortId } from '../output.ts'

/** What keeps a replica from being in sync. */
export interface Cause {
  /** Stays the same between releases. */
  readonly code: string
  /** What is the matter, in a sentence or a few. */
  readonly why: string
  /** What to do about it. */
  readonly remedy: string
}

/** Finds one cause, where it is the cause. */
export type Rule = (one: Case) => Cause | undefined

export interface CaseInit {
  readonly facts: GroupFacts
  readonly member: Announced
  /** What became of asking replicas, by their ids. This one is among them. */
  readonly heard: ReadonlyMap<string, Heard>
  /** What it announced a second or so before; undefined if it has announced nothing new since. */
  readonly earlier?: Announced | undefined
}

/** One replica that is not in sync, and all that is known about it. */
export class Case {
  readonly facts: GroupFacts
  readonly member: Announced
  readonly #earlier: Announced | undefined
  readonly #heard: ReadonlyMap<string, Heard>

  constructor({ facts, member, heard, earlier }: CaseInit) {
    this.facts = facts
    this.member = member
    this.#earlier = earlier
    this.#heard = heard
  }

  /** Entries that it applied since it was first looked at. */
  get appliedSince(): number {
    return this.#earlier === undefined ? 0 : this.member.applied - this.#earlier.applied
  }

  /** It comes nearer: it applied entries, or received or built something. */
  get moves(): boolean {
    const { member } = this
    const before = this.#earlier
    if (before === undefined) return false
    const isNearer = (member.receivedBytes ?? 0) > (before.receivedBytes ?? 0)
    return this.appliedSince > 0 || isNearer || (member.catchUp?.chunks ?? 0) > (before.catchUp?.chunks ?? 0)
  }

  /** What it says of itself; undefined if it could not be asked. */
  get account(): Account | undefined {
    const heard = this.heardOf(this.member)
    return heard?.how === 'told' ? heard.account : undefined
  }

  /** What ended it, or keeps it from having a state, or troubled it last. */
  get trouble(): ToldError | undefined {
    return this.account?.failure ?? this.account?.problem
  }

  /** Whether its trouble is one of these, or was caused by one. */
  isTroubledBy(...codes: readonly string[]): boolean {
    const { trouble } = this
    // Releases before this one tell no causes.
    return (
      trouble !== undefined && [trouble.code, ...(trouble.causes ?? [])].some((one) => codes.includes(one))
    )
  }

  heardOf({ id }: Pick<Announced, 'id'>): Heard | undefined {
    return this.#heard.get(id)
  }

  /** Those that were asked and do not answer, of these. */
  deafAmong(members: readonly Announced[]): Announced[] {
    return members.filter((one) => {
      const how = this.heardOf(one)?.how
      return how === 'shut' || how === 'unreachable'
    })
  }

  /** Other replicas that answered this command. */
  get answering(): string[] {
    return [...this.#heard].flatMap(([id, { how }]) =>
      id !== this.member.id && (how === 'told' || how === 'refused') ? [id] : [],
    )
  }

  /** It cannot go on with the log alone. */
  get needsSnapshot(): boolean {
    const { member, facts } = this
    return member.state === 'catching-up' || member.state === 'lost' || !facts.reaches(member)
  }

  get holders(): Announced[] {
    return this.facts.holdersBeside(this.member.id)
  }
}

/** What became of each address of a replica that does not answer. */
export function addressesOf(heard: Heard | undefined, member: Announced): string {
  if (heard === undefined || heard.how === 'told') return member.addresses.map(withoutPeer).join(' and ')
  return heard.tries
    .map(({ address, connects, why }) => `${withoutPeer(address)} ${connects ? 'accepts connections' : why}`)
    .join('; ')
}

function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '')
}

/** How long a replica is silent, or has been stopped. */
export function silence({ state, ageMs }: Announced): string {
  return state === 'stopped' ? `stopped ${span(ageMs)} ago` : `silent for ${span(ageMs)}`
}

/** `…aaa, …bbb and …ccc`. */
export function namesOf(members: readonly { readonly id: string }[]): string {
  const names = members.map(({ id }) => shortId(id))
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
