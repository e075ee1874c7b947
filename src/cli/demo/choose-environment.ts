import { resolvePlace } from '../../log/log-place.ts'
import { UsageError } from '../errors.ts'
import type { LogFlags } from '../log/log-flags.ts'
import type { Output } from '../output.ts'
import { type DemoEnvironment, sqliteEnvironment } from './environment.ts'
import type { DemoReporter } from './reporter.ts'

/** Throws `UsageError` for a log that is a file: the demo makes one of its own. */
export async function environmentFor(
  flags: LogFlags | undefined,
  reporter: DemoReporter,
  output: Output,
): Promise<DemoEnvironment> {
  if (flags === undefined) return sqliteEnvironment()
  const { ownNatsServers, ownPostgres, runningServers } = await import('./servers-environment.ts')
  // The logs that make the demo start servers.
  if (flags.log === 'nats') return await ownNatsServers(reporter)
  if (flags.log === 'postgres') return await ownPostgres(reporter)
  if (resolvePlace(flags.log).backend !== 'sqlite') return await runningServers(flags, output)
  throw new UsageError(
    `the demo makes a log of its own, so it does not take ${flags.log}: give --log nats or --log postgres, the URLs of servers that run, or no --log`,
  )
}
