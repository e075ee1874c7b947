import { namesServers } from '../../log/log-place.ts'
import { UsageError } from '../errors.ts'
import type { LogFlags } from '../log/log-flags.ts'
import type { Output } from '../output.ts'
import { type DemoEnvironment, sqliteEnvironment } from './environment.ts'
import type { DemoReporter } from './reporter.ts'

/** The log that makes the demo start servers. */
const OWN_SERVERS = 'nats'

/** Throws `UsageError` for a log that is a file: the demo makes one of its own. */
export async function environmentFor(
  flags: LogFlags | undefined,
  reporter: DemoReporter,
  output: Output,
): Promise<DemoEnvironment> {
  if (flags === undefined) return sqliteEnvironment()
  const isOwn = flags.log === OWN_SERVERS
  if (!isOwn && !namesServers(flags.log)) {
    throw new UsageError(
      `the demo makes a log of its own, so it does not take ${flags.log}: give --log ${OWN_SERVERS}, the URLs of NATS servers, or no --log`,
    )
  }
  const { ownServers, runningServers } = await import('./nats-environment.ts')
  return isOwn ? await ownServers(reporter) : await runningServers(flags, output)
}
