import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import type { Output } from '../output.ts'
import { examples, groupName, oneOf, path } from './arguments.ts'
import type { Choose } from './choose.ts'
import { describeCompletion } from './completion-command.ts'
import { describeConfig } from './config-command.ts'
import { describeDemo } from './demo-command.ts'
import { describeDoctor } from './doctor-command.ts'
import { describeEvents } from './events-command.ts'
import { describeFileCommands } from './file-commands.ts'
import { describeGroupCommands } from './group-commands.ts'
import { describeGlobal, TWO_TIERS, wrapped } from './help.ts'
import { describeInit } from './init-command.ts'
import { describeKeyCommands } from './key-commands.ts'
import { describeNode } from './node-command.ts'
import { describeOffers } from './offers-command.ts'
import { describeSnapshot } from './snapshot-command.ts'
import { describeWhy } from './why-command.ts'

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C ("node" and
"demo --open" then exit with 0), 3 a replica halted and needs an operator,
4 "status --check", "why" or "doctor" found something wrong, 141 the reader of
the output left.`

/** The commands and their options. `choose` is called with the command that the arguments ask for. */
export function describeProgram(choose: Choose, output: Output): Command {
  const program = new Command('anchorage')
    .description(
      'A map, or a state machine of your own, that replicas share through a log, and catch up with from each other.',
    )
    .version(
      output.json ? JSON.stringify({ version: version() }) : version(),
      '-V, --version',
      'print the version',
    )
    .exitOverride()
    .configureOutput({ outputError: () => {}, writeOut: (text) => process.stdout.write(wrapped(text)) })
    .configureHelp(TWO_TIERS)
    .option(
      '--log <place>',
      'the log: a file, NATS servers as nats://host:4222,nats://host2:4222, or postgres://host/database',
      './anchorage.db',
    )
    .addOption(
      new Option(
        '--log-module <module>',
        'a module whose default export is the backend of the log, or makes it for a group; instead of --log',
      )
        .argParser(path)
        .conflicts('log'),
    )
    .addOption(
      new Option(
        '--log-replicas <servers>',
        'how many of the NATS servers keep the log: 1, 3 or 5',
      ).argParser(oneOf([1, 3, 5])),
    )
    .addOption(new Option('--creds <file>', 'credentials for NATS').conflicts('nkey'))
    .option('--nkey <file>', 'the seed of an NKey for NATS')
    .option('--tls-ca <file>', 'the authority that signed the certificates of the servers')
    .option('--tls-cert <file>', 'a certificate to show to the servers; needs --tls-key')
    .option('--tls-key <file>', 'its key')
    .option('--group <name>', 'the group whose log it is', groupName, 'default')
    .option('--network-key <file>', 'a key that all replicas share: without it nobody connects to them')
    .option('--config <file>', 'settings, in YAML or JSON; ANCHORAGE_CONFIG names it too', path)
    .option('--json', 'print JSON, one value on a line')
    .option('--no-color', 'no colours; NO_COLOR does the same, and without a terminal there are none')
    .addHelpText(
      'after',
      examples(
        'anchorage node                   run a replica; more in other terminals',
        'anchorage set city \'"Bern"\'      write a value, which is JSON',
        'anchorage get city',
        'anchorage status                 who is there, and how far',
        'anchorage demo                   see a replica catch up from its peers',
      ) + EXIT_CODES,
    )

  program.commandsGroup('Run a replica:')
  describeNode(program, choose)
  describeDemo(program, choose)
  describeInit(program, choose)
  program.commandsGroup('Write and read:')
  describeKeyCommands(program, choose)
  program.commandsGroup('Look after the group:')
  describeGroupCommands(program, choose)
  describeWhy(program, choose)
  describeOffers(program, choose)
  describeSnapshot(program, choose)
  describeEvents(program, choose)
  describeDoctor(program, choose)
  program.commandsGroup('Files:')
  describeFileCommands(program, choose)
  program.commandsGroup('Settings and help:')
  describeConfig(program, choose)
  describeCompletion(program, choose)
  describeGlobal(program)
  program.helpCommand('help [command]', 'print the help of the program or of a command')
  return program
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  return version
}
