import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../log/log.ts'
import type { Position } from '../position.ts'
import type { ReplicaReport } from '../replica/snapshots/report.ts'
import { Visitor } from '../replica/visit/visitor.ts'
import type { SyncEvent } from '../sync/events.ts'
import { SnapshotSync } from '../sync/snapshot-sync.ts'
import { networkOf } from './commands/network-key.ts'
import type { Context } from './context.ts'
import { NobodyLeads, NobodyRuns } from './errors.ts'
import { signatureOf } from './log/open-log.ts'
import { counted, shortId, size } from './output.ts'
import { Patience } from './patience.ts'

/** How long a replica has to tell what the group speaks, in milliseconds. */
const REPORT_MS = 2_000
/** How often the command looks whether the replicas are still there, in milliseconds. */
const POLL_INTERVAL_MS = 250
/**
 * How much longer than a lease to wait for a leader, in milliseconds. A group whose leader died has another
 * one after a lease and an election.
 */
const ELECTION_MS = 3_000

/** A command's visit to a group: it asks the running replicas, and starts none of its own. */
export class Visit implements AsyncDisposable {
  readonly visitor: Visitor
  readonly log: Log
  readonly #context: Context
  readonly #patience: Patience
  #made: SnapshotSync | undefined
  #fetched = ''

  /** Rejects with `NobodyRuns`. */
  static async begin(context: Context, log: Log): Promise<Visit> {
    const { group, signal } = context
    const { networkKey } = await networkOf(context)
    const visit = { group, signature: signatureOf(log), log, networkKey, signal }
    const visitor = await Visitor.enter(visit).catch((error: Error) => {
      throw error.name === 'NobodyAnswers' ? new NobodyRuns(group) : error
    })
    visitor.watch()
    await learnSignature(visitor, context.signal)
    return new Visit(context, log, visitor)
  }

  private constructor(context: Context, log: Log, visitor: Visitor) {
    this.#context = context
    this.log = log
    this.visitor = visitor
    this.#patience = new Patience(context, () => visitor.replicas)
  }

  /** Have the group capture all that is committed by now. Resolves with the anchor. */
  async mark(what = 'for an anchor'): Promise<Position> {
    const sync = this.#sync()
    const { epoch, newest } = await this.log.bounds({ signal: this.#context.signal })
    return await this.withLeader(
      () => what,
      (signal) => sync.requestAnchor({ epoch, index: newest.index }, signal),
    )
  }

  /** Fetch a snapshot above a position, and give it to what the visitor's host installs by. */
  async fetch(position: Position): Promise<void> {
    const sync = this.#sync()
    await this.withLeader(
      () => `for the snapshot${this.#fetched}`,
      (signal) => sync.catchUp({ position, signal }),
    )
  }

  /** Snapshot sync without a state: it has the group capture, and can fetch what was captured. */
  #sync(): SnapshotSync {
    if (this.#made !== undefined) return this.#made
    const { host, network } = this.visitor
    const sync = new SnapshotSync({ host, onEvent: (event) => this.#heard(event) }, network)
    this.visitor.countBy(() => sync.progressBytes)
    this.#made = sync
    return sync
  }

  #heard(event: SyncEvent): void {
    this.#patience.heard(event)
    if (event.type !== 'session' || event.state.status !== 'fetching') return
    const { bytes, bytesTotal } = event.state
    this.#fetched = `, of which ${size(bytes)} of ${size(bytesTotal)} came`
  }

  /** Something holds the work up. */
  met(error: Error): void {
    this.#patience.met(error)
  }

  /** Rejects with the signal's reason. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    await delay(ms, undefined, { signal }).catch((error: Error) => {
      signal.throwIfAborted()
      throw error
    })
  }

  /** Await work of the group. */
  async waiting<T>(what: () => string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.#patience.waiting(what, work)
  }

  /**
   * Await work that needs a leader. Rejects at once with `NobodyRuns` when the last replica ends. Rejects with
   * `NobodyLeads` if none takes office.
   */
  async withLeader<T>(what: () => string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const beganMs = performance.now()
    const nobody = new AbortController()
    let isLooking = false
    const look = async () => {
      // A read of the announcements may take longer than the time to the next look.
      if (isLooking) return
      isLooking = true
      const there = await this.visitor.runs(undefined, { signal: this.#context.signal }).catch(() => true)
      isLooking = false
      const { replicas } = this.visitor
      if (!there) return nobody.abort(new NobodyRuns(this.#context.group))
      if (replicas.length === 0) return
      if (replicas.some(({ leads }) => leads > 0)) return
      const leaseMs = Math.max(...replicas.map(({ announcedAtMs, untilMs }) => untilMs - announcedAtMs))
      if (performance.now() - beganMs > leaseMs + ELECTION_MS)
        nobody.abort(new NobodyLeads(replicas.map(({ id, state }) => `${shortId(id)} (${state})`)))
    }
    await look()
    nobody.signal.throwIfAborted()
    const timer = setInterval(look, POLL_INTERVAL_MS)
    try {
      return await this.waiting(
        () => `${what()}, which ${counted(this.visitor.replicas.length, 'replica')} can make`,
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
    await this.visitor[Symbol.asyncDispose]()
  }
}

/**
 * The log may not say that its group has gone over to another version, and replicas that do not speak the one of the
 * log serve only those that speak theirs. Replicas of an older release are asked in vain: they know one version.
 */
async function learnSignature(visitor: Visitor, signal: AbortSignal): Promise<void> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(REPORT_MS)])
  try {
    const json = await visitor.ask((channel) => channel.status(), { signal: late })
    const { signature } = JSON.parse(Buffer.from(json).toString()) as ReplicaReport
    visitor.host.signature = signature
  } catch {
    signal.throwIfAborted()
  }
}
