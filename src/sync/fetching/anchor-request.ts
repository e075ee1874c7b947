import { formatPosition, type Position } from '../../position.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { NoProvider, PeerUnavailable } from '../errors.ts'
import type { SyncHost } from '../host.ts'
import { Busy, CutFailed, NotLeader, Unauthorized } from '../wire/errors.ts'
import type { Peers } from '../wire/peers.ts'
import { askLeader, type LeaderAnswer } from './ask-leader.ts'
import type { Faults } from './faults.ts'
import type { LostAnchors } from './lost-anchors.ts'
import type { OfferDirectory } from './offer-directory.ts'
import type { Pin } from './pin.ts'
import { POLL_INTERVAL_MS } from './retry.ts'
import { Wakeup } from './wakeup.ts'

export interface AnchorRequestInit {
  /** This replica's PeerId. */
  readonly self: string
  readonly host: SyncHost
  readonly peers: Peers
  readonly clock: Clock
  /** A number from 0 up to 1. */
  readonly random: () => number
  /** What this replica has: only a snapshot above it is of use. */
  readonly position: Position
  readonly requestTimeoutMs: number
  readonly offers: OfferDirectory
  readonly faults: Faults
  readonly lost: LostAnchors
  readonly pin: Pin
  readonly signal: AbortSignal
}

/** The anchor to fetch. */
export interface NamedAnchor {
  readonly anchor: Position
  /** The peer that named it; undefined for one that was only offered. */
  readonly namedBy: string | undefined
}

/** Why no anchor was named yet, and when to ask again. */
interface NotNamed {
  readonly anchor: undefined
  readonly why: string
  readonly retryMs: number
  /** The leader cannot be reached: it names nothing before another one takes its office. */
  readonly unreached?: boolean
  /** The peer that was asked cannot cut its state. */
  readonly cutFailed?: CutFailed | undefined
}

/** When a request for an anchor began, and when it has taken too long. */
interface Term {
  readonly sinceMs: number
  readonly giveUpMs: number
}

/**
 * Asks the group for an anchor: the leader names one, and where it cannot, a live offer of the others is
 * taken.
 */
export class AnchorRequest {
  readonly #init: AnchorRequestInit
  readonly #wakeup: Wakeup
  /** Questions so far, over all anchors of the session. */
  #rounds = 0
  /** The newest anchor that the leader named and that is of no use by the log's own word: it is asked above. */
  #unusable: Position | undefined

  constructor(init: AnchorRequestInit) {
    this.#init = init
    this.#wakeup = new Wakeup(init.clock, init.signal)
  }

  /** Ask until there is an anchor. Rejects with `NoProvider` when there is none in time, or cannot be one. */
  async next(): Promise<NamedAnchor> {
    const { host, clock, requestTimeoutMs, offers, lost, signal } = this.#init
    const sinceMs = clock.now()
    const giveUpMs = (lost.dispute?.sinceMs ?? sinceMs) + requestTimeoutMs
    const unsubscribe = offers.subscribe(() => {
      // One offer alone could lead the session astray: they count when everybody has answered.
      if (offers.isSettled) this.#wakeup.wake()
    })
    try {
      for (;;) {
        const asked = await this.#ask()
        if (asked.anchor !== undefined) return asked
        signal.throwIfAborted()
        await host.refreshMembers()
        const offered = await this.#pause(asked, { sinceMs, giveUpMs })
        if (offered !== undefined) return { anchor: offered, namedBy: undefined }
      }
    } finally {
      unsubscribe()
    }
  }

  /**
   * Why the session gives up. States that differ, or that the leader cannot cut while nobody offers one,
   * cannot be had from anybody: `refusal` is then what all members say.
   */
  noProvider(why: string, refusal: Error | undefined = this.#init.lost.dispute?.error): NoProvider {
    const { offers, faults } = this.#init
    const refusals = new Map(faults.refusals)
    if (refusal !== undefined) {
      for (const { id } of offers.servers) if (!refusals.has(id)) refusals.set(id, refusal)
    }
    const what = refusal === undefined || why.includes(refusal.message) ? why : `${why}; ${refusal.message}`
    return new NoProvider(what, { faults: faults.list, refusals, cause: refusal })
  }

  /**
   * Wait until the leader may be asked again. Meanwhile ask everybody for offers, and take one where that is
   * due. Rejects with `NoProvider` when there is none, and none can be hoped for.
   */
  async #pause(asked: NotNamed, term: Term): Promise<Position | undefined> {
    const { clock, offers } = this.#init
    const untilMs = clock.now() + asked.retryMs
    offers.poll()
    do {
      await this.#wakeup.sleep(untilMs - clock.now())
      if (clock.now() < untilMs && !offers.isSettled) continue
      const offered = await this.#takeOffer(asked, term)
      if (offered !== undefined) return offered
    } while (clock.now() < untilMs)
    this.#checkHope(asked, term)
    return undefined
  }

  /** The offer to take instead of the leader's word, where that is not to be had. */
  async #takeOffer(asked: NotNamed, { giveUpMs }: Term): Promise<Position | undefined> {
    const { host, clock } = this.#init
    const isLate = clock.now() >= giveUpMs
    const isDue = isLate || asked.unreached || asked.cutFailed !== undefined || host.leader() === undefined
    return isDue ? await this.#commonestOffer() : undefined
  }

  /** Throws `NoProvider` when it is too late, or the leader cannot cut its state and nobody offers theirs. */
  #checkHope(asked: NotNamed, { sinceMs, giveUpMs }: Term): void {
    const { clock, position, requestTimeoutMs, offers } = this.#init
    if (asked.cutFailed !== undefined && offers.allOfferNothing(sinceMs)) {
      throw this.noProvider(asked.why, asked.cutFailed)
    }
    if (clock.now() < giveUpMs) return
    const above = formatPosition(position)
    const what = `nobody named or offered a snapshot above ${above} for ${requestTimeoutMs} ms`
    throw this.noProvider(`${what}: ${asked.why}`)
  }

  /** One question to the leader, and what to make of its answer. */
  async #ask(): Promise<NamedAnchor | NotNamed> {
    const { self, host, peers, random, position, offers, faults, lost } = this.#init
    const leader = host.leader()
    if (leader !== undefined && faults.isDropped(leader)) {
      if (offers.servers.length === 0) return notNamed('whoever serves was proven wrong')
      const offered = await this.#offerBeside()
      if (offered !== undefined) return { anchor: offered, namedBy: undefined }
    }
    const asking = { self, host, peers, random }
    let answer = await askLeader(asking, this.#unusable ?? position, this.#guide())
    // Not even what the session lost moves it: a liar could name an anchor beyond all that there will be.
    if (answer.anchor !== undefined && lost.isUseless(answer.anchor)) {
      answer = await askLeader(asking, answer.anchor, answer.peer)
    }
    if (answer.anchor === undefined) return await this.#refused(answer, leader)
    return await this.#named(answer.anchor, answer.peer)
  }

  /**
   * The member to ask for the leader's name. At first none: the host should know it. Then every other time
   * another member in turn: all that follow the log know it, and the host may have been told a lie.
   */
  #guide(): string | undefined {
    const round = this.#rounds++
    const { servers } = this.#init.offers
    return round % 2 === 1 && servers.length > 0 ? servers[(round >> 1) % servers.length]!.id : undefined
  }

  /**
   * The leader was proven wrong. Only it can name a new anchor, but an offer of others is worth more than its
   * word.
   */
  async #offerBeside(): Promise<Position | undefined> {
    const { clock, offers, signal } = this.#init
    offers.poll()
    await sleep(clock, POLL_INTERVAL_MS, signal)
    return await this.#commonestOffer()
  }

  async #named(anchor: Position, namedBy: string): Promise<NamedAnchor | NotNamed> {
    const { host, position, lost } = this.#init
    const text = formatPosition(anchor)
    // An anchor at or below what this replica has would set its state back, and from a pruned one nobody goes
    // on.
    if (anchor.epoch !== position.epoch || anchor.index <= position.index) {
      return notNamed(`the leader named ${text}`)
    }
    if (lost.isUseless(anchor)) return notNamed(`the leader named ${text} again, of which nothing came`)
    if (await host.isReadable(anchor)) return { anchor, namedBy }
    this.#unusable = anchor
    return notNamed(`the leader named ${text}, which was pruned, or is of a version that is not spoken here`)
  }

  async #refused(
    { peer, error, retryMs }: Extract<LeaderAnswer, { anchor: undefined }>,
    leader: string | undefined,
  ): Promise<NotNamed> {
    const { faults, pin } = this.#init
    const unreached = peer === leader && error instanceof PeerUnavailable
    const cutFailed = error instanceof CutFailed ? error : undefined
    const refused = { anchor: undefined, why: error.message, retryMs, unreached, cutFailed }
    if (peer === undefined) return refused
    const introduced = error instanceof Unauthorized ? pin.introduce(peer) : undefined
    if (introduced !== undefined) {
      await introduced
      return { ...refused, retryMs: 0 }
    }
    if (!(error instanceof Busy || error instanceof NotLeader)) faults.add(peer, error)
    return refused
  }

  /** The live offer that most members make, and of those the newest. */
  async #commonestOffer(): Promise<Position | undefined> {
    const { host, position, offers, lost } = this.#init
    for (const anchor of offers.commonest(position)) {
      // What was lost once is taken again on the leader's word alone: one liar would offer it for ever.
      if (!lost.has(anchor) && (await host.isReadable(anchor))) return anchor
    }
    return undefined
  }
}

function notNamed(why: string): NotNamed {
  return { anchor: undefined, why, retryMs: POLL_INTERVAL_MS }
}
