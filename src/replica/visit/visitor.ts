import { generateKeyPair } from '@libp2p/crypto/keys'
import { raceSignal } from 'race-signal'
import { type Announcement, decodeAnnouncement } from '../../group/announcement.ts'
import { type Member, Membership } from '../../group/membership.ts'
import type { Log } from '../../log/log.ts'
import { FETCH_TIMEOUT_MS_DEFAULT } from '../../sync/limits.ts'
import type { Channel } from '../../sync/wire/channel.ts'
import { Peers } from '../../sync/wire/peers.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep, systemClock } from '../../time/clock.ts'
import type { ReplicaNetwork } from '../node/network.ts'
import type { NetworkKeys } from '../node/network-key.ts'
import { NobodyAnswers } from './errors.ts'
import { VisitPresence } from './presence.ts'
import { VisitHost } from './visit-host.ts'

export interface VisitInit {
  readonly group: string
  /** The signature that the log is bound to. */
  readonly signature: string
  /** Opened by the caller, who closes it after the visit. */
  readonly log: Log
  readonly networkKey?: NetworkKeys | undefined
  /** Default: the machine's monotonic clock. */
  readonly clock?: Clock
  /**
   * How long a connection may take, and how long a replica may then be silent while its answer is due, in
   * milliseconds. Default 5,000.
   */
  readonly timeoutMs?: number
  /** Ends the wait to be let in. Default: it takes as long as the log does. */
  readonly signal?: AbortSignal
}

/** How late an announcement may come before its replica is taken for gone, in milliseconds; and how often to look. */
const LATE_MS = 2_000
const LOOKS_MAX = 8
/** How long a member that says nothing keeps the next one waiting, in milliseconds: an answer takes about 30. */
const STAGGER_MS = 500

/**
 * A process that is in a group for a moment, without a state. It asks running replicas over the sync protocol, and
 * announces itself, since they answer members alone.
 *
 * @example
 * ```ts
 * await using visitor = await Visitor.enter({ group: 'cities', signature: log.signature, log })
 * const answer = await visitor.ask((channel) => channel.ask({ type: 'query', question }))
 * ```
 */
export class Visitor implements AsyncDisposable {
  readonly host: VisitHost
  readonly network: ReplicaNetwork
  readonly membership: Membership
  readonly #log: Log
  readonly #clock: Clock
  readonly #presence: VisitPresence
  readonly #peers: Peers
  readonly #leaving = new AbortController()
  #watching: Promise<void> | undefined

  /**
   * Resolves when the group can know of it, and it of the group. Rejects with what the log says. Without a running
   * replica it does not even announce itself.
   */
  static async enter(init: VisitInit): Promise<Visitor> {
    const { log, networkKey, clock = systemClock, signal } = init
    const membership = new Membership({ log, clock, epoch: log.epoch })
    const assertSomeone = async () => {
      if (!(await runsThere(membership, { log, clock, signal }))) throw new NobodyAnswers(new Map())
    }
    await assertSomeone()
    const privateKey = await generateKeyPair('Ed25519')
    const self = privateKey.publicKey.toString()
    const presence = new VisitPresence({ self, log, clock })
    // The log's own thread announces while this one loads libp2p.
    const announced = presence.announce()
    announced.catch(() => {})
    const { Libp2pNode } = await import('../node/libp2p-node.ts')
    const network = new Libp2pNode({ privateKey, networkKey, listen: [] })
    try {
      await network.start({ serve: async (_, stream) => stream.abort(new Error('a visitor serves nothing')) })
      await raceSignal(announced, signal)
      // A busy machine takes longer to load libp2p than an announcement lasts.
      if (!membership.list().some(isThere)) await assertSomeone()
      return new Visitor(init, { clock, membership, presence, network })
    } catch (error) {
      await Promise.all([presence.leave(), network.stop()])
      throw error
    }
  }

  private constructor(
    { group, signature, log, timeoutMs = FETCH_TIMEOUT_MS_DEFAULT }: VisitInit,
    parts: {
      readonly clock: Clock
      readonly membership: Membership
      readonly presence: VisitPresence
      readonly network: ReplicaNetwork
    },
  ) {
    const { clock, membership, presence, network } = parts
    const pin = (anchor: number) => presence.pin(anchor)
    this.host = new VisitHost({ group, signature, log, clock, membership, pin })
    this.network = network
    this.membership = membership
    this.#log = log
    this.#clock = clock
    this.#presence = presence
    this.#peers = new Peers({ host: this.host, network, clock, timeoutMs })
  }

  /** The replicas that run, those first that are best asked: in sync, and without a group's writes to order. */
  get replicas(): Member[] {
    return this.membership
      .list()
      .filter(isThere)
      .sort((a, b) => rank(a) - rank(b))
  }

  /**
   * Whether a replica of this kind runs. Where the announcements that are known have lapsed, on a busy machine, it
   * looks again before it says no.
   */
  async runs(
    wanted: (announcement: Announcement) => boolean = () => true,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    if (this.replicas.some(wanted)) return true
    return await runsThere(this.membership, { log: this.#log, clock: this.#clock, signal, wanted })
  }

  /** Who leads, by the announcements. */
  get leader(): Member | undefined {
    const id = this.host.leader()
    return id === undefined ? undefined : this.membership.get(id)
  }

  /** From now on the members are those of each moment, until the visit ends. */
  watch(): void {
    this.#watching ??= this.membership.run(this.#leaving.signal).catch(() => {})
  }

  /**
   * Ask the replicas, one after the other: the next one when one has failed, or has said nothing for a moment. The
   * first answer counts. Rejects with `NobodyAnswers`, and with the signal's reason.
   *
   * @param among default: all that run
   */
  async ask<T>(
    question: (channel: Channel) => Promise<T>,
    {
      among = this.replicas,
      signal,
    }: { readonly among?: readonly Member[]; readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    const faults = new Map<string, Error>()
    const answered = Promise.withResolvers<T>()
    const over = new AbortController()
    const onAbort = () => answered.reject(signal!.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    signal?.throwIfAborted()
    const tries: Promise<void>[] = []
    const one = async (id: string) => {
      try {
        answered.resolve(await question(await this.#peers.channel(id, 'ask')))
        over.abort()
      } catch (error) {
        faults.set(id, asError(error))
      }
    }
    const all = async () => {
      for (const { id } of among) {
        if (over.signal.aborted) return
        const asked = one(id)
        tries.push(asked)
        await Promise.race([asked, sleep(this.#clock, STAGGER_MS, over.signal).catch(() => {})])
      }
      await Promise.all(tries)
      answered.reject(new NobodyAnswers(faults))
    }
    try {
      void all()
      return await answered.promise
    } finally {
      over.abort()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** What tells how many bytes this visit has received: a fetch that makes progress is waited for. */
  countBy(receivedBytes: () => number): void {
    this.#presence.receivedBytes = receivedBytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort(new Error('the visit is over'))
    await this.#peers.close()
    await Promise.all([this.#presence.leave(), this.network.stop(), this.#watching])
  }
}

interface Search {
  readonly log: Log
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
  /** Default: any replica. */
  readonly wanted?: (announcement: Announcement) => boolean
}

/**
 * A replica that is busy may announce itself late. Where one was there a moment ago, it is looked for again before
 * nobody is there.
 */
async function runsThere(
  membership: Membership,
  { log, clock, signal, wanted = () => true }: Search,
): Promise<boolean> {
  const isWanted = (announcement: Announcement) => isThere(announcement) && wanted(announcement)
  for (let looks = 1; ; looks++) {
    await raceSignal(membership.refresh(), signal)
    if (membership.list().some(isWanted)) return true
    const presences = await raceSignal(log.notices.read(), signal)
    const wasThere = presences.some(({ data, ageMs, ttlMs }) => {
      const announcement = decodeAnnouncement(data)
      return ageMs < ttlMs + LATE_MS && announcement?.epoch === log.epoch && isWanted(announcement)
    })
    if (!wasThere || looks === LOOKS_MAX) return false
    await sleep(clock, LATE_MS / LOOKS_MAX, signal)
  }
}

/** Other visitors have no address. */
function isThere({ addresses, state }: Announcement): boolean {
  return addresses.length > 0 && state !== 'stopped'
}

function rank({ state, leads }: Member): number {
  if (state === 'in-sync') return leads > 0 ? 1 : 0
  return state === 'following' ? 2 : 3
}
