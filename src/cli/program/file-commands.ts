import { Argument, type Command } from 'commander'
import type { ExportOptions } from '../commands/export.ts'
import type { ImportOptions } from '../commands/import.ts'
import type { KeyAction } from '../commands/network-key.ts'
import { examples, path } from './arguments.ts'
import type { Choose } from './choose.ts'

/** Commands that make a file, or begin with one. */
export function describeFileCommands(program: Command, choose: Choose): void {
  describeExport(program, choose)
  describeImport(program, choose)
  describeNetworkKey(program, choose)
}

function describeExport(program: Command, choose: Choose): void {
  program
    .command('export')
    .summary('write a snapshot as one file')
    .description('write a snapshot that the group agreed on as one file; needs a replica that leads')
    .argument('<file>')
    .option('--force', 'write over a file that is there')
    .addHelpText('after', examples('anchorage export backup.checkpoint'))
    .action((file: string, options: ExportOptions) =>
      choose(async (context) => {
        const { exportTo } = await import('../commands/export.ts')
        return await exportTo(context, file, options)
      }),
    )
}

function describeImport(program: Command, choose: Choose): void {
  program
    .command('import')
    .summary('begin a new log with the state of a file')
    .description('begin a new log with the state that a file holds, of any machine')
    .argument('<file>', 'what export wrote, or a checkpoint')
    .option(
      '--data <directory>',
      'where the state goes: the data directory of the replica to start next',
      path,
    )
    .option('--transform <module>', 'make the items of the new state from those of the file', path)
    .addHelpText(
      'after',
      examples(
        'anchorage import backup.checkpoint --log new.db --data replica-1',
        'anchorage node --data replica-1 --log new.db',
        'anchorage import backup.checkpoint --log new.db --data replica-1 --transform ./without-drafts.ts',
      ) +
        `
A transform is a module:
  export default async function* (items, { signature, position, timeMs }) {
    for await (const item of items) if (isWanted(item)) yield item
  }
  export const signature = 'users/2'   if the items are for another machine
`,
    )
    .action((file: string, options: ImportOptions) =>
      choose(async (context) => {
        const { importFrom } = await import('../commands/import.ts')
        return await importFrom(context, file, options)
      }),
    )
}

function describeNetworkKey(program: Command, choose: Choose): void {
  program
    .command('network-key')
    .description('make a key for --network-key, or replace the one in use without a stop')
    .argument('<file>')
    .addArgument(
      new Argument(
        '[what]',
        'make the file; rotate: put a new key before the one in it, so that replicas accept both; retire: leave the new key alone; show: tell the names of its keys',
      )
        .choices(['make', 'rotate', 'retire', 'show'])
        .default('make'),
    )
    .addHelpText(
      'after',
      examples(
        'anchorage network-key network.key',
        'anchorage node --network-key network.key --data data-a',
        'anchorage network-key network.key rotate     then restart all replicas, one after the other',
        'anchorage network-key network.key retire     then again',
      ),
    )
    .action((file: string, what: KeyAction) =>
      choose(async (context) => {
        const { networkKey } = await import('../commands/network-key.ts')
        return await networkKey(context, file, what)
      }),
    )
}
