import type { Command } from 'commander'
import type { StatusOptions } from '../commands/status.ts'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'

/** Commands that look at the group. */
export function describeGroupCommands(program: Command, choose: Choose): void {
  describeVerify(program, choose)
  describeStatus(program, choose)
}

function describeVerify(program: Command, choose: Choose): void {
  program
    .command('verify')
    .description('compare the roots of up to five replicas at one position, or check checkpoints on disk')
    .argument('[files...]', 'checkpoints; default: ask the replicas')
    .addHelpText(
      'after',
      examples('anchorage verify', 'anchorage verify ./replica-1/checkpoints/*.checkpoint') +
        '\nThe exit code is 1 where roots differ, somebody does not answer, or a file is damaged.',
    )
    .action((files: string[]) =>
      choose(async (context) => {
        const { verify } = await import('../commands/verify.ts')
        return await verify(context, files)
      }),
    )
}

function describeStatus(program: Command, choose: Choose): void {
  program
    .command('status')
    .description('show the log, the replicas, who leads, and live offers with their deadlines')
    .option('--watch', 'look again every second, until Ctrl-C')
    .addHelpText(
      'after',
      examples('anchorage status', 'anchorage status --watch', 'anchorage status --json | jq .leader'),
    )
    .action((options: StatusOptions) =>
      choose(async (context) => {
        const { status } = await import('../commands/status.ts')
        return await status(context, options)
      }),
    )
}
