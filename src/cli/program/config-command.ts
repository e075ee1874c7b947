import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'

export function describeConfig(program: Command, choose: Choose): void {
  program
    .command('config')
    .summary('print what is in force, and from where')
    .description('print what the flags, the environment and the file of settings come to, and which it was')
    .argument('[command]', 'the command whose options are wanted; default: those that somebody gave')
    .argument('[flags...]', 'flags of that command, as it would be given them')
    .allowUnknownOption()
    .addHelpText(
      'after',
      `${examples(
        'anchorage config',
        'anchorage config node --config /etc/anchorage.yaml',
        'anchorage config node --keep 1000',
        "anchorage config node --json | jq -r '.[] | select(.from.file).setting'",
      )}\nIt prints no password and no token, and ends with 2 if something cannot be used.`,
    )
    .action((name: string | undefined, flags: string[]) =>
      choose(async ({ output }, _, configuration) => {
        const command = name === undefined ? undefined : named(program, name)
        const { unknown } = command?.parseOptions(flags) ?? { unknown: flags }
        if (unknown.length > 0)
          throw new UsageError(
            `unknown option '${unknown[0]}': give flags behind the command that takes them`,
          )
        const { printConfig } = await import('../commands/config.ts')
        return printConfig(output, configuration, command)
      }),
    )
}

function named(program: Command, name: string): Command {
  const command = program.commands.find((each) => each.name() === name)
  if (command === undefined)
    throw new UsageError(`there is no command ${JSON.stringify(name)}; see anchorage --help`)
  return command
}
