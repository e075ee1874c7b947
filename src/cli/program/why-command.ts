import type { Command } from 'commander'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'

export function describeWhy(program: Command, choose: Choose): void {
  program
    .command('why')
    .summary('tell what keeps a replica from being in sync')
    .description('tell what keeps a replica from being in sync, and what to do about it')
    .argument('[replica]', 'its id, or the end of it; default: each one that is not in sync')
    .addHelpText(
      'after',
      examples(
        'anchorage why',
        'anchorage why kQ3vX9fZ',
        "anchorage why --json | jq -r '.replicas[] | .replica, .code'",
      ) +
        '\nIt ends with 0 if those replicas are in sync, with 4 if one is not, and with 1 if the log cannot be read.',
    )
    .action((replica: string | undefined) =>
      choose(async (context) => {
        const { why } = await import('../commands/why.ts')
        return await why(context, replica)
      }),
    )
}
