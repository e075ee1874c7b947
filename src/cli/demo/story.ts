import { raceSignal } from 'race-signal'
import { prunedAway } from '../../log/bare-read.ts'
import type { Log } from '../../log/log.ts'
import type { Position } from '../../position.ts'
import type { Cluster } from '../../processes/cluster.ts'
import type { ReplicaProcess } from '../../processes/replica-process.ts'
import type { CatchUpReport } from '../../replica/events.ts'
import { appendAll } from '../log/append-all.ts'
import { count, counted, duration } from '../output.ts'
import type { DemoEnvironment } from './environment.ts'
import { bareReplay, caughtUp, ordinaryReplay } from './measured.ts'
import type { DemoReporter } from './reporter.ts'
import { batches, type Row, rewrites } from './rows.ts'
import { BackgroundWriter } from './writer.ts'

/** What `--json` prints. */
export type DemoResult = Awaited<ReturnType<DemoStory['perform']>>

/** Entries that the prune keeps, or a tenth of the log if that is less. */
const KEEP_ENTRIES = 1_000
/** The longest wait for a step, in milliseconds: a demo that is too large for its machine ends, too. */
const STEP_TIMEOUT_MS = 10 * 60_000

export interface DemoStoryInit {
  readonly environment: DemoEnvironment
  readonly cluster: Cluster
  readonly log: Log
  readonly rows: readonly Row[]
  /** Entries of each key. */
  readonly history: number
  readonly reporter: DemoReporter
  readonly signal: AbortSignal
}

/** What the demo shows, step by step. Each step tells every second what it waits for. */
export class DemoStory {
  readonly #environment: DemoEnvironment
  readonly #cluster: Cluster
  readonly #log: Log
  readonly #rows: readonly Row[]
  readonly #history: number
  readonly #reporter: DemoReporter
  readonly #signal: AbortSignal
  readonly #entries: number

  constructor({ environment, cluster, log, rows, history, reporter, signal }: DemoStoryInit) {
    this.#environment = environment
    this.#cluster = cluster
    this.#log = log
    this.#rows = rows
    this.#history = history
    this.#reporter = reporter
    this.#signal = signal
    this.#entries = rows.length * history
  }

  async perform() {
    await this.#load()
    const loaded = await this.#compareLoaded()
    const plainEntriesPerSecond = await this.#replayInBareLoop()
    const replayMs = await this.#replayInReplica()
    const logFirstIndex = await this.#prune(loaded.anchor)
    const { joiner, report, writesDuringCatchUp } = await this.#catchUp()
    await this.#tellOffers()
    const common = await this.#step('replicas compare their roots', this.#commonRoots(joiner))
    this.#reporter.say(`at entry ${count(common.anchor.index)} ${sameOrNot(common)}`)
    return {
      items: this.#rows.length,
      entries: this.#entries,
      providersUsed: report.providersUsed.length,
      bytesFetched: report.bytesFetched,
      catchUpMs: round(report.totalMs),
      phases: {
        request: round(report.phasesMs.request),
        cut: round(report.phasesMs.cut),
        fetch: round(report.phasesMs.fetch),
        install: round(report.phasesMs.install),
        replay: round(report.replayMs),
      },
      replayMs: round(replayMs),
      replayEntriesPerSecond: perSecond(this.#entries, replayMs),
      plainEntriesPerSecond,
      anchor: report.anchor,
      logFirstIndex,
      writesDuringCatchUp,
      rootsMatch: common.match,
    }
  }

  /** Await a step, unless a Ctrl-C has made it pointless. */
  async #step<T>(what: string, work: Promise<T>): Promise<T> {
    return await this.#reporter.waiting(what, raceSignal(work, this.#signal))
  }

  async #load(): Promise<void> {
    const [rows, history, entries] = [this.#rows, this.#history, this.#entries]
    this.#reporter.say(
      `loading ${counted(rows.length, 'row')} with ${counted(history, 'entry', 'entries')} each: ${counted(entries, 'entry', 'entries')}`,
    )
    let appended = 0
    const loading = appendAll(this.#log, batches(rows, history, this.#signal), (more) => {
      appended += more
      this.#reporter.progress(`loaded ${count(appended)} of ${count(entries)} entries`)
    })
    await raceSignal(loading, this.#signal)
    const { replicas } = this.#cluster
    await this.#step('replicas apply them', Promise.all(replicas.map((replica) => replica.barrier())))
  }

  async #compareLoaded(): Promise<CommonRoots> {
    const leader = await this.#step(
      'replicas elect a leader',
      this.#cluster.leader({ timeoutMs: STEP_TIMEOUT_MS }),
    )
    const loaded = await this.#step('replicas compare their roots', this.#commonRoots(leader))
    this.#reporter.say(
      `all replicas are in sync, and at entry ${count(loaded.anchor.index)} ${sameOrNot(loaded)}; ${leader.name} leads`,
    )
    return loaded
  }

  /** Resolves with entries per second. */
  async #replayInBareLoop(): Promise<number> {
    const { group, servers } = this.#environment
    const task = { log: servers?.flags ?? { log: this.#cluster.logPath }, group }
    const plain = await this.#step('a bare loop reads the log', bareReplay(task, this.#signal))
    const entriesPerSecond = perSecond(plain.entries, plain.tookMs)
    this.#reporter.say(
      `a bare loop reads and sets them all in ${duration(plain.tookMs)}, ${count(entriesPerSecond)}/s`,
    )
    return entriesPerSecond
  }

  /** Resolves with how long a new replica took to follow the whole log, in milliseconds. */
  async #replayInReplica(): Promise<number> {
    const replay = async () => {
      const snapshotAfter = Number.POSITIVE_INFINITY
      const replica = await this.#cluster.start({ name: 'follower', lead: false, snapshotAfter })
      const tookMs = await ordinaryReplay(replica, { timeoutMs: STEP_TIMEOUT_MS })
      await replica.stop()
      return tookMs
    }
    const replayMs = await this.#step('a new replica follows the log', replay())
    this.#reporter.say(
      `a new replica follows the whole log in ${duration(replayMs)}, ${count(perSecond(this.#entries, replayMs))}/s`,
    )
    return replayMs
  }

  /** Resolves with the log's first entry. */
  async #prune(anchor: Position): Promise<number> {
    const keepEntries = Math.min(KEEP_ENTRIES, Math.floor(this.#entries / 10))
    await this.#step('replicas write checkpoints', this.#checkpointed(anchor))
    this.#reporter.say(
      'every replica wrote a checkpoint of what they agreed on to its disk: nobody needs what the log held before',
    )
    const pruner = await raceSignal(this.#cluster.leader(), this.#signal)
    await this.#step('the leader prunes the log', pruner.prune({ keepEntries }))
    const { first, newest } = await raceSignal(this.#log.bounds(), this.#signal)
    const { group, servers } = this.#environment
    const place = servers?.place ?? this.#cluster.logPath
    // What is timed next should not share disk and processors with the deletion.
    const deleted = prunedAway(place, group, Math.min(first, newest.index), this.#signal)
    await this.#step('what was pruned is deleted', deleted)
    this.#reporter.say(
      `the leader pruned the log: it begins with entry ${count(first)} now, and nobody can replay it`,
    )
    return first
  }

  async #catchUp(): Promise<CaughtUp> {
    const writer = new BackgroundWriter(this.#log, rewrites(this.#rows, this.#history))
    this.#reporter.say('a writer goes on writing; another new replica, with nothing, joins')
    const joining = this.#reporter.during(this.#cluster, async () => {
      const joiner = await this.#cluster.start({ name: 'newcomer', lead: false })
      const report = await caughtUp(joiner, { timeoutMs: STEP_TIMEOUT_MS })
      return { joiner, report, writesDuringCatchUp: writer.acknowledged }
    })
    return await this.#step('the newcomer catches up', joining).finally(() => writer.stop())
  }

  async #tellOffers(): Promise<void> {
    for (const replica of this.#running()) {
      for (const { anchor, remainingMs } of (await raceSignal(replica.status(), this.#signal)).offers)
        this.#reporter.say(
          `offers anchor ${count(anchor.index)}: lapses in ${duration(remainingMs)}`,
          replica.name,
        )
    }
  }

  /** Have every replica capture at one position, and compare their roots. */
  async #commonRoots(by: ReplicaProcess): Promise<CommonRoots> {
    const anchor = await by.mark()
    const roots = await Promise.all(this.#running().map((replica) => replica.rootAt(anchor)))
    return { anchor, roots, match: roots.every((root) => root === roots[0]) }
  }

  /** Resolves when every replica has told that what was agreed on at an anchor is on its disk. */
  async #checkpointed({ index }: Position): Promise<void> {
    const leader = await this.#cluster.leader()
    const told = async () => {
      const { members } = await leader.status()
      return members.every((member) => member.state !== 'in-sync' || member.checkpoint >= index)
    }
    await this.#cluster.waitUntil('checkpoints are on disk', told, { timeoutMs: STEP_TIMEOUT_MS })
  }

  #running(): ReplicaProcess[] {
    return this.#cluster.replicas.filter(({ running }) => running)
  }
}

interface CaughtUp {
  readonly joiner: ReplicaProcess
  readonly report: CatchUpReport
  readonly writesDuringCatchUp: number
}

interface CommonRoots {
  readonly anchor: Position
  readonly roots: readonly string[]
  readonly match: boolean
}

function sameOrNot({ roots, match }: CommonRoots): string {
  return `the roots of all ${roots.length} replicas are ${match ? `the same, ${roots[0]!.slice(0, 16)}` : 'NOT the same'}`
}

function perSecond(entries: number, tookMs: number): number {
  return Math.round((entries / tookMs) * 1_000)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
