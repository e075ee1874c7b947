import { type Command, Help, type HelpConfiguration, type Option } from 'commander'
import { examples } from './arguments.ts'

/** The command whose help is of the options of all commands. */
const GLOBAL = 'global'
const WHERE_GLOBAL = 'Options of all commands, such as --log and --group: anchorage help global'

/**
 * Help in two tiers: that of the program lists its commands, and that of a command its own options. Where the options
 * of all commands are, each says in a line.
 */
export const TWO_TIERS: HelpConfiguration = {
  sortSubcommands: false,
  visibleOptions(command: Command): Option[] {
    if (command.parent === null) return []
    return Help.prototype.visibleOptions.call(this, command.name() === GLOBAL ? command.parent : command)
  },
  subcommandTerm(command: Command): string {
    const takes = command.registeredArguments.map((each) =>
      each.required ? `<${each.name()}>` : `[${each.name()}]`,
    )
    return [command.name(), ...takes].join(' ')
  },
  subcommandDescription: summaryOf,
  formatHelp(command: Command, helper: Help): string {
    const text = Help.prototype.formatHelp.call(this, command, helper)
    return command.name() === GLOBAL ? text : `${text}\n${WHERE_GLOBAL}\n`
  },
}

/** One line: what the command says for it, or else the beginning of its description. */
export function summaryOf(command: Command): string {
  return command.summary() || command.description().split(/[,;:]/)[0]!
}

/** Prose as wide as the terminal. What begins with spaces is laid out already, or a command to copy. */
export function wrapped(text: string, columns = process.stdout.columns ?? 80): string {
  const long = new RegExp(`^\\S.{${columns},}$`, 'gm')
  return text.replaceAll(long, (line) => new Help().boxWrap(line, columns))
}

const SERVERS_HELP = `
On servers, --log takes user:password@ before a host. For NATS it also takes
token@, and tls:// instead of nats:// to insist on TLS; for PostgreSQL several
hosts, as postgres://user:password@db1,db2/app, and ?sslmode=verify-full. Other
users of this machine see a command line: put what is secret into ANCHORAGE_LOG,
into the file of --creds or --nkey, or into PGPASSWORD or ~/.pgpass.

Each flag can be set by a variable, as --log by ANCHORAGE_LOG and --keep of node
by ANCHORAGE_NODE_KEEP, and in the file of --config. A flag goes before a
variable, and that before the file. "anchorage config" prints what is in force.
Set ANCHORAGE_DEBUG=1 for the stack of an error.`

/** `anchorage help global`. */
export function describeGlobal(program: Command): void {
  program
    .command(GLOBAL, { hidden: true })
    .description('Options of all commands, which may stand before the command or behind it.')
    .addHelpText(
      'after',
      examples(
        'anchorage status --log nats://n1:4222,nats://n2:4222',
        'anchorage status --log postgres://db1.example/app',
        'anchorage node --log-module ./files-log.ts     on a log of your own',
      ) + SERVERS_HELP,
    )
    .action((_, command: Command) => command.help())
}
