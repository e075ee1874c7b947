import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import type { Output } from '../output.ts'
import { examples, groupName, oneOf, path } from './arguments.ts'
import type { Choose } from './choose.ts'
import { describeConfig } from './config-command.ts'
import { describeDemo } from './demo-command.ts'
import { describeDoctor } from './doctor-command.ts'
import { describeEvents } from './events-command.ts'
import { describeFileCommands } from './file-commands.ts'
import { describeGroupCommands } from './group-commands.ts'
import { describeKeyCommands } from './key-commands.ts'
import { describeNode } from './node-command.ts'
import { describeOffers } from './offers-command.ts'
import { describeSnapshot } from './snapshot-command.ts'
import { describeWhy } from './why-command.ts'

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C ("node" and "demo --open" then exit with 0),
3 a replica halted and needs an operator, 4 "status --check", "why" or "doctor" found something wrong,
141 the reader of the output left.
Set ANCHORAGE_DEBUG=1 for the stack of an error.`

const SERVERS_HELP = `
On servers, --log takes user:password@ before a host. For NATS it also takes token@, and tls:// instead of nats:// to
insist on TLS; for PostgreSQL several hosts, as postgres://user:password@db1,db2/app, and ?sslmode=verify-full. Other
users of this machine see a command line: put what is secret into ANCHORAGE_LOG, into the file of --creds or --nkey, or
into PGPASSWORD or ~/.pgpass.
`

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
    .configureOutput({ outputError: () => {} })
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
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
        'anchorage node                        run a replica; start more in other terminals',
        'anchorage set city \'"Bern"\'           write a value, which is JSON',
        'anchorage get city',
        'anchorage load cities.jsonl           write many',
        'anchorage status                      who is there, and how far',
        'anchorage node --machine ./inventory.ts --log inventory.db',
        'anchorage submit \'{"article": "bolts", "count": 3}\' --log inventory.db',
        'anchorage demo                        see a replica catch up from its peers',
        'anchorage status --log nats://n1:4222,nats://n2:4222',
        'anchorage status --log postgres://db1.example/app',
        'anchorage node --log-module ./files-log.ts     on a log of your own',
      ) +
        SERVERS_HELP +
        EXIT_CODES,
    )

  describeNode(program, choose)
  describeKeyCommands(program, choose)
  describeFileCommands(program, choose)
  describeGroupCommands(program, choose)
  describeWhy(program, choose)
  describeOffers(program, choose)
  describeSnapshot(program, choose)
  describeEvents(program, choose)
  describeDoctor(program, choose)
  describeDemo(program, choose)
  describeConfig(program, choose)
  return program
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  return version
}
