import { CommanderError } from 'commander'
import { DirectoryOfAnotherLog } from '../checkpoint/errors.ts'
import { ImportUnfinished } from '../replica/import/errors.ts'
import { EXIT, type GlobalOptions } from './context.ts'
import { OutputBroken, ReplicaHalted, UsageError } from './errors.ts'
import { Interrupt } from './interrupt.ts'
import { namedLog } from './log/named-log.ts'
import { Output } from './output.ts'
import type { Work } from './program/choose.ts'
import { describeProgram } from './program/program.ts'
import { Configuration } from './settings/configuration.ts'

/** After these a supervisor that starts the command again gains nothing. */
const OPERATORS = [ReplicaHalted, DirectoryOfAnotherLog, ImportUnfinished]

/**
 * Run the command that the arguments name. Resolves with the process's exit code when all output is written.
 */
export async function run(argv: readonly string[]): Promise<number> {
  const interrupt = new Interrupt()
  // Commander's own errors are told in these looks too, before a file is read. What comes after -- is a value.
  const end = argv.indexOf('--')
  const options = end < 0 ? argv : argv.slice(0, end)
  const output = new Output({
    json: options.includes('--json') || process.env.ANCHORAGE_JSON === 'true',
    color: !options.includes('--no-color') && process.env.ANCHORAGE_COLOR !== 'false',
  })
  const exitCode = await perform(argv, output, interrupt)
  const broken = await interrupt.outputBroken()
  interrupt.ended()
  // A terminal that is closed takes no output either, and has sent a signal.
  if (broken === undefined || (broken.exitCode !== undefined && interrupt.exitCode !== undefined))
    return exitCode
  // A reader that has enough, as head has, is no error.
  if (broken.exitCode === undefined) output.error(broken)
  return broken.exitCode ?? EXIT.failed
}

async function perform(argv: readonly string[], output: Output, interrupt: Interrupt): Promise<number> {
  let work: Work | undefined
  const program = describeProgram((chosen) => {
    work = chosen
  }, output)
  try {
    const configuration = new Configuration(program, process.env)
    // By now the flags are known, and help or the version were printed.
    program.hook('preAction', async (_, command) => await configuration.apply(command))
    await program.parseAsync(argv, { from: 'user' })
    const { json, color, config: _, group, networkKey, ...flags } = program.opts<GlobalOptions & Looks>()
    output.look({ json: json === true, color })
    for (const remark of configuration.remarks) output.note(remark)
    const context = {
      log: await namedLog(flags, (flag, than) => configuration.isWeaker(flag, than)),
      group,
      ...(networkKey !== undefined && { networkKey }),
      output,
      signal: interrupt.signal,
    }
    return await work!(context, flags, configuration)
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    if (interrupt.exitCode !== undefined) return interrupt.exitCode
    if (error instanceof OutputBroken) return EXIT.failed
    const failure = error instanceof CommanderError ? usageError(error) : error
    if (failure !== undefined) output.error(failure)
    return exitCodeOf(failure)
  }
}

/** Undefined: commander has printed its help instead of an error. */
function exitCodeOf(failure: unknown): number {
  if (failure === undefined || failure instanceof UsageError) return EXIT.usage
  const needsOperator = OPERATORS.some((kind) => failure instanceof kind)
  return needsOperator ? EXIT.operator : EXIT.failed
}

interface Looks {
  readonly json?: true
  readonly color: boolean
  readonly config?: string
}

/** Undefined if commander has printed its help instead of an error. */
function usageError({ code, message }: CommanderError): UsageError | undefined {
  if (code === 'commander.help') return undefined
  return new UsageError(`${message.replace(/^error: /, '')}; see anchorage --help`)
}
