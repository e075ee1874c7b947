import type { Command } from 'commander'
import type { PruneOptions, UpgradeOptions } from '../commands/order.ts'
import type { StatusOptions } from '../commands/status.ts'
import { UsageError } from '../errors.ts'
import { examples, integer } from './arguments.ts'
import type { Choose } from './choose.ts'

/** What `Replica.prune` keeps by default. */
const KEEP_ENTRIES_DEFAULT = 10_000

/** Commands that look at the group, and have it do something. */
export function describeGroupCommands(program: Command, choose: Choose): void {
  describeStatus(program, choose)
  describeMembers(program, choose)
  describeVerify(program, choose)
  describeCheckpoint(program, choose)
  describePrune(program, choose)
  describeUpgrade(program, choose)
}

function describeVerify(program: Command, choose: Choose): void {
  program
    .command('verify')
    .summary('compare the roots of replicas, or check files')
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
    .summary('show the log, the replicas and who leads')
    .description('show the log, the replicas, who leads, catch-ups, who fell silent, and live offers')
    .option('--watch', 'look again every second, until Ctrl-C')
    .option('--wide', 'show addresses, checkpoint, process and offers of each replica as well')
    .option('--check', 'tell whether the group is well: exit code 0 or 4, for scripts')
    .option('--expect <replicas>', 'with --check: so many are to be in sync; default 1', integer(1))
    .option('--max-lag <entries>', 'with --check: so far behind a replica in sync may be', integer(0))
    .addHelpText(
      'after',
      examples(
        'anchorage status',
        'anchorage status --watch',
        'anchorage status --json | jq .leader',
        'until anchorage status --check --expect 3 --max-lag 100; do sleep 1; done',
      ) +
        '\n--check ends with 0 if the group is well, with 4 if it is not, and with 1 if the log cannot be read.',
    )
    .action((options: StatusOptions) =>
      choose(async (context) => {
        if (options.check) {
          const { checkStatus } = await import('../commands/status-check.ts')
          return await checkStatus(context, options)
        }
        if (options.expect !== undefined || options.maxLag !== undefined)
          throw new UsageError('--expect and --max-lag say what --check looks for: add --check')
        const { status } = await import('../commands/status.ts')
        return await status(context, options)
      }),
    )
}

function describeMembers(program: Command, choose: Choose): void {
  program
    .command('members')
    .description(
      'show what each replica announces: its addresses, its checkpoint, and the versions that it speaks',
    )
    .addHelpText('after', examples('anchorage members', "anchorage members --json | jq '.[].speaks'"))
    .action(() =>
      choose(async (context) => {
        const { members } = await import('../commands/members.ts')
        return await members(context)
      }),
    )
}

function describeCheckpoint(program: Command, choose: Choose): void {
  program
    .command('checkpoint')
    .description(
      'have the group write a checkpoint, and wait until it is on all disks; needs a replica that leads',
    )
    .addHelpText(
      'after',
      examples('anchorage checkpoint', 'anchorage checkpoint && anchorage prune --keep 0') +
        '\nIt waits for the replicas that were started with --data.',
    )
    .action(() =>
      choose(async (context) => {
        const { checkpoint } = await import('../commands/checkpoint.ts')
        return await checkpoint(context)
      }),
    )
}

function describePrune(program: Command, choose: Choose): void {
  program
    .command('prune')
    .description('have the leader prune the log, as far as a checkpoint holds what goes')
    .option('--keep <entries>', 'newest entries that stay', integer(0), KEEP_ENTRIES_DEFAULT)
    .option('--dry-run', 'prune nothing: tell what would go, and who holds the rest and why')
    .addHelpText(
      'after',
      examples('anchorage prune', 'anchorage prune --keep 1000', 'anchorage prune --keep 0 --dry-run'),
    )
    .action((options: PruneOptions) =>
      choose(async (context) => {
        if (options.dryRun) {
          const { dryRun } = await import('../commands/prune-dry-run.ts')
          return await dryRun(context, options.keep)
        }
        const { prune } = await import('../commands/order.ts')
        return await prune(context, options)
      }),
    )
}

function describeUpgrade(program: Command, choose: Choose): void {
  program
    .command('upgrade')
    .summary('go over to another version of the machine')
    .description('have the group go over to another version of its machine, which every replica must speak')
    .option('--to <signature>', 'the signature of that version; default: the newest that all replicas speak')
    .addHelpText('after', examples('anchorage members', 'anchorage upgrade --to inventory/2'))
    .action((options: UpgradeOptions) =>
      choose(async (context) => {
        const { upgrade } = await import('../commands/order.ts')
        return await upgrade(context, options)
      }),
    )
}
