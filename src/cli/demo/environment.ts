import { namesServers } from '../../log/jetstream/servers.ts'
import type { LogPlace } from '../../log/log-at.ts'
import type { Cluster, ClusterInit } from '../../testing/index.ts'
import { UsageError } from '../errors.ts'
import type { LogFlags } from '../log-place.ts'
import type { Output } from '../output.ts'
import type { PlainReplay } from './plain-map.ts'
import type { DemoReporter } from './reporter.ts'

/** What the demo's log stands on. Its end is the log's. */
export interface DemoEnvironment extends AsyncDisposable {
  /** For the story. */
  readonly text: string
  /** What the cluster must know. */
  readonly init: ClusterInit
  place(cluster: Cluster): LogPlace
  /** Read the log and set what it says, without us. */
  plainReplay(cluster: Cluster, signal: AbortSignal): Promise<PlainReplay>
  /** Resolves when nothing is left of what was pruned: what is timed next should not share disk and processors with that. */
  swept(cluster: Cluster, oldestKept: number, signal: AbortSignal): Promise<void>
}

/** The log that makes the demo start servers. */
const OWN_SERVERS = 'nats'

export async function environmentFor(
  flags: LogFlags | undefined,
  reporter: DemoReporter,
  output: Output,
): Promise<DemoEnvironment> {
  if (flags === undefined) {
    const { sqliteEnvironment } = await import('./sqlite-environment.ts')
    return sqliteEnvironment()
  }
  const isOwn = flags.log === OWN_SERVERS
  if (!isOwn && !namesServers(flags.log)) {
    throw new UsageError(
      `the demo makes a log of its own, so it does not take ${flags.log}: give --log ${OWN_SERVERS}, the URLs of NATS servers, or no --log`,
    )
  }
  const { ownServers, runningServers } = await import('./nats-environment.ts')
  return isOwn ? await ownServers(reporter) : await runningServers(flags, output)
}
