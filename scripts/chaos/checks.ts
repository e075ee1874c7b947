import { setTimeout as delay } from 'node:timers/promises'
import type { Position } from '../../src/position.ts'
import type { Cluster, ReplicaProcess } from '../../src/testing/index.ts'
import type { Promised } from '../../src/testing/simulation/invariant.ts'
import { asError } from '../../src/thrown.ts'
import type { Ledger } from './ledger.ts'
import type { LogReader } from './log-reader.ts'
import type { Machine } from './machine.ts'
import type { CatchUp, Observer } from './observer.ts'
import type { Contents } from './program.ts'
import type { Verdicts } from './verdicts.ts'
import type { Write, Writers } from './writers.ts'

/** What a run keeps within, whatever happens to it. */
export const BOUNDS = {
  /** From the end of the faults until everybody is in sync, in milliseconds. */
  settleMs: 60_000,
  /** Until a call to a replica that is in sync is answered, in milliseconds. */
  answerMs: 30_000,
  /** Until the log is short enough once everybody is in sync, in milliseconds. */
  pruneMs: 30_000,
  logEntries: 5_000,
  rssBytes: 512 * 1024 * 1024,
  /** Of one replica, once everybody is in sync: `LIVE_ANCHORS_MAX` of src/sync/limits.ts. */
  liveAnchors: 3,
  /** For each peer: `markersPerMinute` of src/sync/limits.ts. */
  markersAMinute: 30,
} as const

/** Errors after which a write is not in the log: see `Log.append`. */
const REFUSALS = ['LOG_BUSY', 'LOG_REFUSED', 'ENTRY_TOO_LARGE']
const POLL_INTERVAL_MS = 100
/**
 * How often something is tried that may be spoilt meanwhile: a leader leaves its office, a write comes late.
 */
const ATTEMPTS = 5

type Tell = (promise: Promised, message: string) => void

/**
 * Every acknowledged write is in the log at its place, gave what its writer was told, and no write is there
 * twice.
 */
export function checkWrites(writes: readonly Write[], ledger: Ledger, broken: Tell): void {
  const promise = 'acknowledged writes are there once'
  for (const { what, mark, isUnique, author, told, code } of writes) {
    const places = ledger.placesOf(mark)
    if (isUnique && places.length > 1)
      broken(promise, `${what} is in the log twice, at ${places.join(' and ')}`)
    if (code !== undefined && isUnique && REFUSALS.includes(code) && places.length > 0)
      broken('always an answer', `${what} was refused with ${code}, and is in the log at ${places[0]}`)
    if (told === undefined) continue
    const { index, result } = told
    const entry = ledger.at(index)
    if (entry?.mark !== mark) broken(promise, `${what} was acknowledged as entry ${index}, which is another`)
    else if (entry.author !== author)
      broken(promise, `${what} was acknowledged by ${author} as entry ${index}, which is of ${entry.author}`)
    else if (result !== undefined && JSON.stringify(result) !== JSON.stringify(entry.result))
      broken(
        'one anchor, one content',
        `${what} gave ${JSON.stringify(result)}, and at ${index} it gives ${JSON.stringify(entry.result)}`,
      )
  }
}

/** What was installed was agreed on by the group. */
export function checkCatchUps(catchUps: readonly CatchUp[], ledger: Ledger, broken: Tell): void {
  for (const { who, anchor } of catchUps) {
    if (ledger.group.anchors.get(anchor)?.seal === undefined)
      broken('nothing unverified', `${who} installed the state at ${anchor}, which nobody sealed`)
  }
}

export interface ChecksInit {
  readonly cluster: Cluster
  readonly machines: readonly Machine[]
  readonly ledger: Ledger
  readonly reader: LogReader
  readonly observer: Observer
  readonly writers: Writers
  readonly verdicts: Verdicts
}

/** What is looked at when the faults of a round have ended. */
export class Checks {
  readonly #init: ChecksInit
  #catchUpsSeen = 0
  #largestLog = 0
  #forgettable = 0

  constructor(init: ChecksInit) {
    this.#init = init
  }

  /** The most entries that the log had when a round was over. */
  get largestLog(): number {
    return this.#largestLog
  }

  /** Resolves with how long it took until everybody was in sync; undefined if that did not come to pass. */
  async everyoneInSync(): Promise<number | undefined> {
    const beganMs = performance.now()
    let behind: string[] = []
    const inSync = await this.#until(BOUNDS.settleMs, async () => {
      behind = await this.#behind()
      return behind.length === 0
    })
    if (inSync) return performance.now() - beganMs
    this.#broken('everyone gets in sync', `after ${BOUNDS.settleMs} ms there are ${behind.join(', ')}`)
    return undefined
  }

  /** With everybody in sync, compare all that there is to compare. */
  async all(): Promise<void> {
    const { writers, ledger, observer, machines } = this.#init
    if (!(await writers.pause(BOUNDS.answerMs)))
      this.#broken('always an answer', `a write had no answer ${BOUNDS.answerMs} ms after all were in sync`)
    await this.#answered('contents', () => this.#contents())
    await this.#answered('roots', () => this.#roots())
    await this.#bounds()
    await observer.look()
    const tell: Tell = (promise, message) => this.#broken(promise, message)
    checkWrites(writers.take(), ledger, tell)
    checkCatchUps(observer.catchUps.slice(this.#catchUpsSeen), ledger, tell)
    this.#catchUpsSeen = observer.catchUps.length
    for (const { missingCatchUp } of machines)
      if (missingCatchUp !== undefined) this.#broken('everyone gets in sync', missingCatchUp)
    // A write may still be on its way in the round after the one in which its writer was told that it is not
    // known.
    ledger.forget(this.#forgettable)
    this.#forgettable = ledger.newest
  }

  /** Those that are not in sync, in words. */
  async #behind(): Promise<string[]> {
    const states = await Promise.all(
      this.#init.machines.map(async ({ name, process }) => {
        if (process === undefined) return `${name} down`
        const status = await process.status().catch(() => undefined)
        return status?.state === 'in-sync' ? '' : `${name} ${status?.state ?? 'silent'}`
      }),
    )
    return states.filter((state) => state !== '')
  }

  /** All replicas hold what the log says that they hold. */
  async #contents(): Promise<void> {
    const { ledger } = this.#init
    await Promise.all(this.#running().map((process) => process.barrier()))
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const held = await Promise.all(
        this.#running().map(async (process) => ({
          name: process.name,
          ...(await process.call<Contents>('contents')),
        })),
      )
      const newest = Math.max(...held.map(({ index }) => index))
      await this.#until(BOUNDS.answerMs, () => ledger.newest >= newest)
      // If somebody wrote on, what they held then cannot be told from what there is now.
      if (held.some(({ index }) => ledger.newestCommand > index)) continue
      // The ledger's keys die as its time goes on, so it is asked for the earliest time first.
      for (const one of held.sort((a, b) => a.timeMs - b.timeMs)) this.#compare(one.name, one)
      return
    }
    this.#broken('always an answer', 'commands go on although nobody writes')
  }

  #compare(name: string, { index, timeMs, size, digest }: Contents): void {
    const { ledger } = this.#init
    const expectedMs = ledger.at(index)?.timeMs
    if (timeMs !== expectedMs)
      this.#broken('any clock', `${name} has machine time ${timeMs} at ${index}, not ${expectedMs}`)
    else if (digest !== ledger.digest(timeMs))
      this.#broken('one anchor, one content', `${name} holds ${size} keys at ${index}, not what the log says`)
  }

  /** All replicas have one root at a new anchor. */
  async #roots(): Promise<void> {
    const anchor = await this.#mark()
    const roots = await Promise.all(
      this.#running().map(async (process) => `${await process.rootAt(anchor)} of ${process.name}`),
    )
    if (new Set(roots.map((root) => root.split(' ')[0])).size > 1)
      this.#broken('one anchor, one content', `roots at ${anchor.index}: ${roots.join(', ')}`)
  }

  async #mark(): Promise<Position> {
    for (let attempt = 1; ; attempt++) {
      try {
        const leader = await this.#init.cluster.leader()
        return await leader.mark()
      } catch (error) {
        if (attempt === ATTEMPTS) throw error
        await delay(POLL_INTERVAL_MS)
      }
    }
  }

  /** The log is short, every disk has what was pruned, and nothing is offered for ever. */
  async #bounds(): Promise<void> {
    const { reader, observer, ledger, machines } = this.#init
    let length = 0
    let first = 1
    const isShort = await this.#until(BOUNDS.pruneMs, async () => {
      const bounds = await reader.bounds()
      first = bounds.first
      length = bounds.newest.index - first + 1
      return length <= BOUNDS.logEntries && (await this.#checkpoints()).every((index) => index >= first - 1)
    })
    this.#largestLog = Math.max(this.#largestLog, length)
    if (!isShort) {
      const checkpoints = await this.#checkpoints()
      if (length > BOUNDS.logEntries) this.#broken('bounded', `the log has ${length} entries`)
      const told = `the log begins with ${first}, and the checkpoints are of ${checkpoints.join(', ')}`
      if (checkpoints.every((index) => index < first - 1)) this.#broken('never prune the only copy', told)
      else if (checkpoints.some((index) => index < first - 1)) this.#broken('bounded', told)
    }
    for (const process of this.#running()) {
      // One that somebody read when it was retired lives for its TTL.
      let offers = 0
      const isBounded = async () => {
        offers = (await process.status()).offers.length
        return offers <= BOUNDS.liveAnchors
      }
      if (!(await this.#until(BOUNDS.answerMs, isBounded)))
        this.#broken('bounded', `${process.name} offers ${offers} anchors`)
    }
    if (observer.largestRssBytes > BOUNDS.rssBytes)
      this.#broken('bounded', `a process took ${Math.round(observer.largestRssBytes / 1024 / 1024)} MiB`)
    const markersMax = BOUNDS.markersAMinute * machines.length
    if (ledger.markersAMinute > markersMax)
      this.#broken('bounded', `${ledger.markersAMinute} markers came within a minute`)
  }

  /** The newest checkpoint that each replica announces, as the leader knows it. */
  async #checkpoints(): Promise<number[]> {
    const leader = await this.#init.cluster.leader()
    const { members } = await leader.status()
    const ids = new Set(this.#running().map(({ id }) => id))
    return members.filter(({ id }) => ids.has(id)).map(({ checkpoint }) => checkpoint)
  }

  /** A check that has no answer is a broken promise too. */
  async #answered(what: string, check: () => Promise<void>): Promise<void> {
    const late = new AbortController()
    const timeout = delay(BOUNDS.answerMs, undefined, { signal: late.signal }).then(() => {
      throw new Error(`no answer after ${BOUNDS.answerMs} ms`)
    })
    const checked = check()
    try {
      await Promise.race([checked, timeout])
    } catch (error) {
      this.#broken('always an answer', `${what}: ${asError(error).message}`)
    } finally {
      late.abort()
      await Promise.allSettled([timeout])
      checked.catch(() => {})
    }
  }

  async #until(timeoutMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
    const endMs = performance.now() + timeoutMs
    for (;;) {
      if (await condition()) return true
      if (performance.now() > endMs) return false
      await delay(POLL_INTERVAL_MS)
    }
  }

  #running(): ReplicaProcess[] {
    return this.#init.machines.flatMap(({ process }) => process ?? [])
  }

  #broken(promise: Promised, message: string): void {
    this.#init.verdicts.broken(promise, message)
  }
}
