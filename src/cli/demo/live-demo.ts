import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { raceSignal } from 'race-signal'
import { Cluster } from '../../processes/cluster.ts'
import { ReplicaProcess } from '../../processes/replica-process.ts'
import { type Context, EXIT } from '../context.ts'
import type { LogFlags } from '../log/log-flags.ts'
import { PlacedLog } from '../log/named-log.ts'
import { logOf, withLog } from '../log/open-log.ts'
import { counted } from '../output.ts'
import { openBrowser } from './browser.ts'
import { environmentFor } from './choose-environment.ts'
import { LiveStory } from './live-story.ts'
import { DemoReporter } from './reporter.ts'
import { readOrMakeRows } from './rows.ts'
import { SlowReplicas } from './slow-replicas.ts'

export interface LiveDemoOptions {
  /** Rows to load. Default 20,000, of which a catch-up lasts some seconds. */
  readonly items?: number
  /** Replicas that serve. */
  readonly providers: number
  /** Default: a SQLite file. With `nats` or `postgres` for the log, servers that the demo starts. */
  readonly log?: LogFlags
}

const ITEMS_DEFAULT = 20_000
/** What a provider sends in a second, so that the eye can follow. */
const BYTES_PER_SECOND = 60_000
/** So small that there are some hundred chunks to see. */
const CHUNK_BYTES = 16 * 1024
/** What the group keeps of the log, so that it is pruned now and then. */
const KEEP_ENTRIES = 5_000

const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './replica-program.ts' : './replica-program.js',
  import.meta.url,
)

/** The demo's group with the live page, until Ctrl-C: replicas join again and again. */
export async function liveDemo(context: Context, options: LiveDemoOptions): Promise<number> {
  const { output, signal } = context
  const rows = await readOrMakeRows(options.items ?? ITEMS_DEFAULT, output)
  const reporter = new DemoReporter(output)
  await using environment = await environmentFor(options.log, reporter, output)
  signal.throwIfAborted()
  reporter.say(`starting ${counted(options.providers, 'replica')}, each a process, on ${environment.text}`)
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-'))
  const { group, servers } = environment
  const log = servers && { log: servers.flags.log }
  const settings = {
    ...(servers && { settings: servers.flags }),
    chunkBytes: CHUNK_BYTES,
    checkpoint: { everyCommands: KEEP_ENTRIES },
    prune: { keepEntries: KEEP_ENTRIES },
  }
  await using cluster = new Cluster(
    dir,
    { group, program: PROGRAM, dataDirs: true, options: settings, ...log },
    ReplicaProcess,
  )
  await using replicas = new SlowReplicas(cluster, BYTES_PER_SECOND)
  const here = { ...context, log: new PlacedLog(servers?.place ?? cluster.logPath), group }
  await withLog(here, logOf(here), async (log) => {
    const story = new LiveStory({ replicas, providers: options.providers, log, rows, reporter, signal })
    const url = await story.begin()
    output.result({ event: 'page', url }, `\n  the live page: ${url}\n`)
    if (process.stdout.isTTY && !output.json) openBrowser(url)
    await raceSignal(story.goOn(), signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  })
  return EXIT.ok
}
