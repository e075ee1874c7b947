import type { Command } from 'commander'
import { TIMER_MS_MAX } from '../../bounds.ts'
import type { SnapshotOptions } from '../commands/snapshot.ts'
import { examples, integer } from './arguments.ts'
import type { Choose } from './choose.ts'

/** How long the electors of an anchor have by default, in milliseconds: cutting a large state takes seconds. */
const TIMEOUT_MS_DEFAULT = 60_000

export function describeSnapshot(program: Command, choose: Choose): void {
  program
    .command('snapshot')
    .description(
      'have the group mark a snapshot now, and wait until its root is sealed; needs a replica that leads',
    )
    .option('--no-wait', 'end as soon as the anchor is marked, and leave the seal to the replicas')
    .option(
      '--timeout <ms>',
      'how long to wait for the seal once the anchor is marked',
      integer(1, TIMER_MS_MAX),
      TIMEOUT_MS_DEFAULT,
    )
    .addHelpText(
      'after',
      examples(
        'anchorage snapshot',
        'anchorage snapshot --no-wait && anchorage offers --watch',
        'anchorage snapshot --json | jq -r .root',
      ) +
        '\nThe replicas offer it for a TTL, and longer while somebody fetches it. "checkpoint" brings it to the disks.',
    )
    .action((options: SnapshotOptions) =>
      choose(async (context) => {
        const { snapshot } = await import('../commands/snapshot.ts')
        return await snapshot(context, options)
      }),
    )
}
