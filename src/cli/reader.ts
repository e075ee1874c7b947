import { type MapResult, ReplicatedMap } from '../machines/map/replicated-map.ts'
import type { Replica } from '../replica/replica.ts'
import { createReplica } from '../replica/start.ts'
import { HandshakeFailed } from '../sync/errors.ts'
import { networkOf } from './commands/network-key.ts'
import type { Context } from './context.ts'
import { NobodyLeads, NobodyRuns } from './errors.ts'
import { existingLog } from './log/open-log.ts'
import { count, counted, shortId } from './output.ts'

/** How often the reader looks whether the others are still there, in milliseconds. */
const POLL_INTERVAL_MS = 250
/**
 * How much longer than a lease to wait for a leader, in milliseconds. A group whose leader died has another
 * one after a lease and an election.
 */
const ELECTION_MS = 3_000

/**
 * The most that is told each second of why the wait goes on, in characters: one line of a terminal or two.
 */
const BRIEF_CHARS = 240

/** Joins a group for a moment, never leads it, and tells each second what it waits for. */
export class Reader implements AsyncDisposable {
  readonly map: ReplicatedMap
  readonly replica: Replica<MapResult>
  readonly #context: Context
  /** Why the wait goes on, as far as is known. */
  #obstacle: Error | undefined
  #giveUp: ((why: Error) => void) | undefined
  /** Replicas that seem to have another network key: their handshake failed. */
  readonly #strangers = new Set<string>()

  /** Resolves when the reader is in sync. Rejects with the reason if it cannot be. */
  static async join(context: Context): Promise<Reader> {
    const { group } = context
    const map = new ReplicatedMap()
    const log = existingLog(context)
    const replica = await createReplica({
      group,
      machine: map,
      log,
      lead: false,
      // What the reader waits for is told each second, and what it ends with at the end.
      logger: false,
      ...(await networkOf(context)),
    })
    const reader = new Reader(context, map, replica)
    try {
      await reader.waiting(
        () => `to be in sync: ${replica.state}, at entry ${count(replica.position.index)}`,
        (signal) => replica.inSync({ signal }),
      )
      return reader
    } catch (error) {
      await replica.stop()
      throw error
    }
  }

  private constructor(context: Context, map: ReplicatedMap, replica: Replica<MapResult>) {
    this.#context = context
    this.map = map
    this.replica = replica
    replica.addEventListener('problem', ({ detail }) => {
      this.#obstacle = detail
    })
    replica.addEventListener('sync', ({ detail }) => {
      if (detail.type === 'asked-again') this.#met(detail.error)
      if (detail.type === 'fault') this.#faulty(detail.peer, detail.error)
    })
  }

  /**
   * Await work of the replica. A group with another network key will not answer, so that ends the wait at
   * once.
   */
  async waiting<T>(what: () => string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { output, signal } = this.#context
    const giveUp = new AbortController()
    this.#obstacle = undefined
    this.#giveUp = (why) => giveUp.abort(why)
    const text = () =>
      [`waiting ${what()}`, this.#obstacle && brief(this.#obstacle)].filter(Boolean).join('; ')
    try {
      return await output.waiting(text, work(AbortSignal.any([signal, giveUp.signal])))
    } finally {
      this.#giveUp = undefined
    }
  }

  /**
   * Await work that needs a leader. Rejects at once with `NobodyRuns` if no other replica runs, or the last
   * one ends. Rejects with `NobodyLeads` if none takes office.
   */
  async withLeader<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { group } = this.#context
    const beganMs = performance.now()
    const nobody = new AbortController()
    const look = () => {
      const others = this.replica.members.filter(({ id }) => id !== this.replica.id)
      if (others.length === 0) return nobody.abort(new NobodyRuns(group))
      if (others.some(({ leads }) => leads > 0)) return
      const leaseMs = Math.max(...others.map(({ announcedAtMs, untilMs }) => untilMs - announcedAtMs))
      if (performance.now() - beganMs > leaseMs + ELECTION_MS)
        nobody.abort(new NobodyLeads(others.map(({ id, state }) => `${shortId(id)} (${state})`)))
    }
    look()
    nobody.signal.throwIfAborted()
    const timer = setInterval(look, POLL_INTERVAL_MS)
    try {
      return await this.waiting(
        () => `${what}, which ${counted(this.replica.members.length - 1, 'replica')} can make`,
        (signal) => work(AbortSignal.any([signal, nobody.signal])),
      )
    } catch (error) {
      nobody.signal.throwIfAborted()
      throw error
    } finally {
      clearInterval(timer)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.replica.stop()
  }

  #met(error: Error): void {
    this.#obstacle = error
    if (error instanceof HandshakeFailed) this.#giveUp?.(error)
  }

  /** One of several replicas may serve although another does not talk to this one. */
  #faulty(peer: string, error: Error): void {
    this.#obstacle = error
    if (!(error instanceof HandshakeFailed)) return
    this.#strangers.add(peer)
    const others = this.replica.members.filter(({ id }) => id !== this.replica.id)
    if (others.every(({ id }) => this.#strangers.has(id))) this.#giveUp?.(error)
  }
}

function brief({ message }: Error): string {
  const text = message.replaceAll(/12D3KooW\w{44}/g, shortId)
  return text.length > BRIEF_CHARS ? `${text.slice(0, BRIEF_CHARS)}…` : text
}
