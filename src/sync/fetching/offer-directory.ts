import { type Position, samePosition } from '../../position.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { PeerUnavailable } from '../errors.ts'
import type { SyncHost, SyncMember } from '../host.ts'
import { Busy, Unauthorized } from '../wire/errors.ts'
import type { OfferView } from '../wire/messages.ts'
import type { Peers } from '../wire/peers.ts'
import type { Faults } from './faults.ts'
import type { Pin } from './pin.ts'
import { busyMs } from './retry.ts'

/** What is known of a member and one anchor. */
type OfferStanding =
  /** It says that it offers it. */
  | 'offers'
  /** As far as is known it has not applied the anchor yet, or it said nothing since the anchor was chosen. */
  | 'may'
  /** It has applied past the anchor, and does not offer it: it never will. */
  | 'will-not'
  /** It could not be reached when it was last asked. */
  | 'cannot'

interface Told {
  readonly offers: readonly OfferView[]
  /** The newest entry that it was known to have applied when it told. */
  readonly applied: number
  readonly atMs: number
}

export interface OfferDirectoryInit {
  /** This replica's PeerId: it is not asked. */
  readonly self: string
  readonly host: Pick<SyncHost, 'members' | 'onMembersChanged'>
  readonly peers: Pick<Peers, 'channel'>
  readonly clock: Clock
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly faults: Faults
  readonly pin: Pick<Pin, 'introduce'>
  readonly signal: AbortSignal
}

/** Hears that a member told its offers, or could not; without a member, that others are in the group now. */
export type OffersListener = (member?: string) => void

/**
 * What the members of the group say of their offers, and when they said it. It asks all members that
 * serve, and judges which may still offer an anchor.
 */
export class OfferDirectory {
  readonly #init: OfferDirectoryInit
  readonly #told = new Map<string, Told>()
  /** When a member could not be reached, until it says something. */
  readonly #unreachedAtMs = new Map<string, number>()
  /** Members that owe an answer, or said Busy and rest. */
  readonly #asking = new Set<string>()
  /** Members that were ever asked. */
  readonly #asked = new Set<string>()
  /** Before the first poll nobody needs to know what members offer. */
  #wasPolled = false
  readonly #listeners = new Set<OffersListener>()

  constructor(init: OfferDirectoryInit) {
    this.#init = init
    const { host, signal } = init
    // A session that is over before it began ends nothing any more.
    if (signal.aborted) return
    const unsubscribe = host.onMembersChanged?.(() => this.#membersChanged())
    if (unsubscribe !== undefined) signal.addEventListener('abort', unsubscribe, { once: true })
  }

  /** Call `listener` after each answer. Returns what ends that. */
  subscribe(listener: OffersListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The other members that serve, but for those that were dropped. */
  get servers(): SyncMember[] {
    const { host, self, faults } = this.#init
    return host.members().filter(({ id, serves }) => serves && id !== self && !faults.isDropped(id))
  }

  /**
   * Connect to the servers while the leader still thinks: they then push their offers over the same
   * connection.
   */
  preconnect(): void {
    for (const { id } of this.servers) this.#init.peers.channel(id, 'fetch').catch(() => {})
  }

  /** Nobody owes an answer. */
  get isSettled(): boolean {
    return this.#asking.size === 0
  }

  /**
   * Ask every member that serves for its offers, but for those that owe an answer, and those that are linked.
   */
  poll(linked?: { isLinked(member: string): boolean }): void {
    this.#wasPolled = true
    for (const { id } of this.servers) {
      if (!this.#asking.has(id) && linked?.isLinked(id) !== true) this.#ask(id)
    }
  }

  /** Whether a member could not be reached after `sinceMs`, and has said nothing since. */
  isUnreached(member: string, sinceMs: number): boolean {
    return (this.#unreachedAtMs.get(member) ?? Number.NEGATIVE_INFINITY) >= sinceMs
  }

  /** Everyone who serves was asked since `sinceMs`, and none offers anything. */
  allOfferNothing(sinceMs: number): boolean {
    return this.servers.every(({ id }) => {
      const told = this.#told.get(id)
      return told !== undefined && told.atMs >= sinceMs && told.offers.length === 0
    })
  }

  /** Whether a member offers this anchor, by what it said last. */
  offers(member: string, anchor: Position): boolean {
    return this.#told.get(member)?.offers.some((offer) => samePosition(offer.anchor, anchor)) === true
  }

  /** The members that offer this anchor, by what each said last. */
  offering(anchor: Position): string[] {
    return [...this.#told.keys()].filter((member) => this.offers(member, anchor))
  }

  /** The members that offer this anchor, or may yet, by what they said after `sinceMs`. */
  candidates(anchor: Position, sinceMs: number): string[] {
    return this.servers.flatMap((server) => {
      const standing = this.#standing(server, anchor, sinceMs)
      return standing === 'offers' || standing === 'may' ? [server.id] : []
    })
  }

  /** Where a member stands with an anchor, by what it said after `sinceMs`. */
  #standing({ id }: SyncMember, anchor: Position, sinceMs: number): OfferStanding {
    if (this.isUnreached(id, sinceMs)) return 'cannot'
    const told = this.#told.get(id)
    if (told === undefined || told.atMs < sinceMs) return 'may'
    if (this.offers(id, anchor)) return 'offers'
    // It captures when it applies the marker: an answer counts that came after it had told of that.
    return told.applied >= anchor.index ? 'will-not' : 'may'
  }

  /**
   * The anchors above a position that are offered and have not run out: those that most members offer first,
   * and of those the newest. One member alone cannot lead a session astray.
   */
  commonest(above: Position): Position[] {
    const { clock, faults } = this.#init
    const nowMs = clock.now()
    const offered = new Map<number, { readonly anchor: Position; members: number }>()
    for (const [member, { offers, atMs }] of this.#told) {
      if (faults.isDropped(member)) continue
      for (const { anchor, remainingMs } of offers) {
        const isAbove = anchor.epoch === above.epoch && anchor.index > above.index
        if (!isAbove || atMs + remainingMs <= nowMs) continue
        const known = offered.get(anchor.index)
        if (known === undefined) offered.set(anchor.index, { anchor, members: 1 })
        else known.members++
      }
    }
    return [...offered.values()]
      .sort((a, b) => b.members - a.members || b.anchor.index - a.anchor.index)
      .map(({ anchor }) => anchor)
  }

  #ask(member: string): void {
    const { peers, faults } = this.#init
    this.#asked.add(member)
    this.#asking.add(member)
    peers
      .channel(member, 'ask')
      .then((channel) => channel.request({ type: 'offers' }, 'offers'))
      .then(({ offers }) => this.#tell(member, offers))
      .catch((error: Error) => this.#notTold(member, error))
      .finally(() => {
        this.#asking.delete(member)
        this.#notify(member)
      })
      .catch((thrown) => faults.add(member, asError(thrown)))
  }

  /** A member told of all its offers. */
  #tell(member: string, offers: readonly OfferView[]): void {
    const { host, clock, faults } = this.#init
    if (offers.length > 0) faults.served(member)
    const applied = host.members().find(({ id }) => id === member)?.applied ?? 0
    this.#told.set(member, { offers, applied, atMs: clock.now() })
    this.#unreachedAtMs.delete(member)
  }

  /** A member did not tell its offers. Resolves when it may be asked again. */
  async #notTold(member: string, error: Error): Promise<void> {
    const { clock, random, faults, pin, signal } = this.#init
    if (signal.aborted) return
    if (error instanceof Busy) return await sleep(clock, busyMs(error, random), signal).catch(() => {})
    const introduced = error instanceof Unauthorized ? pin.introduce(member) : undefined
    if (introduced !== undefined) return await introduced
    faults.add(member, error)
    // What it said before holds until it runs out: it may be starting again.
    if (error instanceof PeerUnavailable) this.#unreachedAtMs.set(member, clock.now())
    else this.#tell(member, [])
  }

  /** Members that are new, or serve only now, are asked at once. */
  #membersChanged(): void {
    for (const { id } of this.#wasPolled ? this.servers : []) {
      if (!this.#asked.has(id)) this.#ask(id)
    }
    this.#notify()
  }

  #notify(member?: string): void {
    if (this.#init.signal.aborted) return
    for (const listener of this.#listeners) listener(member)
  }
}
