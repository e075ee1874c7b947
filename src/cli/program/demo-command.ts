import type { Command } from 'commander'
import type { DemoOptions } from '../demo/demo.ts'
import { UsageError } from '../errors.ts'
import { examples, integer } from './arguments.ts'
import type { Choose } from './choose.ts'

const DEMO_ITEMS_MAX = 1_000_000
const DEMO_PROVIDERS_MAX = 16
const DEMO_HISTORY_MAX = 1_000

/** Replicas of the demo; and of the live one, in which the leader leaves the serving to the others, and one of them dies. */
const PROVIDERS = 3
const PROVIDERS_OPEN = 4

interface Flags extends Omit<DemoOptions, 'log' | 'providers'> {
  readonly providers?: number
  readonly open?: true
}

export function describeDemo(program: Command, choose: Choose): void {
  program
    .command('demo')
    .summary('see a replica catch up from its peers')
    .description(
      'see it work: several processes, a pruned log, and a newcomer that catches up from its peers',
    )
    .option(
      '--items <rows>',
      'rows to load; default: 171,075, or 20,000 with --open',
      integer(1, DEMO_ITEMS_MAX),
    )
    .option(
      '--providers <replicas>',
      'replicas that serve; default: 3, or 4 with --open',
      integer(1, DEMO_PROVIDERS_MAX),
    )
    .option('--history <entries>', 'entries of each key; 1 with --open', integer(1, DEMO_HISTORY_MAX), 10)
    .option(
      '--open',
      'watch it in the browser until Ctrl-C: newcomers join again and again, so slowly that one sees it',
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
    .action(({ open, providers = open ? PROVIDERS_OPEN : PROVIDERS, ...options }: Flags) =>
      choose(async (context, flags) => {
        if (program.getOptionValueSource('logModule') === 'cli')
          throw new UsageError('the demo makes a log of its own, so it takes no --log-module: leave it out')
        const isGiven = program.getOptionValueSource('log') === 'cli'
        const all = { ...options, providers, ...(isGiven && { log: flags }) }
        if (open) return await (await import('../demo/live-demo.ts')).liveDemo(context, all)
        return await (await import('../demo/demo.ts')).demo(context, all)
      }),
    )
}
