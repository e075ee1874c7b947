/** Measures how fast it is, beside what one would use instead: `npm run bench -- --help`. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { NatsServerMissing } from '../src/processes/errors.ts'
import { capture } from './bench/capture.ts'
import { catchUp } from './bench/catch-up.ts'
import { checkpoint } from './bench/checkpoint.ts'
import { crowds } from './bench/crowd.ts'
import { delta } from './bench/delta.ts'
import { growth } from './bench/growth.ts'
import type { Kept, Report } from './bench/kept.ts'
import { leaseTable } from './bench/lease-table.ts'
import { lists } from './bench/list.ts'
import { logs } from './bench/log.ts'
import { manyJoiners } from './bench/many-joiners.ts'
import { memory } from './bench/memory.ts'
import { multiSource } from './bench/multi-source.ts'
import { observed } from './bench/observed.ts'
import { Progress } from './bench/progress.ts'
import { queues } from './bench/queue.ts'
import { groupOf, keep, merge, openReport, writeReport } from './bench/report.ts'
import { restart } from './bench/restart.ts'
import { type Benchmark, type Measured, measure } from './bench/runner.ts'
import { sqlite } from './bench/sqlite-machine.ts'
import { starts } from './bench/start.ts'
import { state } from './bench/state.ts'
import { formatList, formatTable } from './bench/table.ts'
import { tail } from './bench/tail.ts'
import { transfer } from './bench/transfer.ts'

/** The smallest scale. Below it, sizes are too small to be divided. */
const SCALE_MIN = 0.001
/** Pairs of each benchmark with `--full`: more than one, so that there is a spread. */
const PAIRS_FULL = 5

const benchmarks = [
  ...transfer,
  ...multiSource,
  ...manyJoiners,
  ...catchUp,
  ...growth,
  ...capture,
  ...delta,
  ...memory,
  ...state,
  ...lists,
  ...queues,
  ...leaseTable,
  ...restart,
  ...checkpoint,
  ...sqlite,
  ...crowds,
  ...tail,
  ...logs,
  ...observed,
  ...starts,
]
const names = benchmarks.map(({ name }) => name)
const groups = [...new Set(names.map(groupOf))]

interface Options {
  readonly full?: boolean
  readonly json?: boolean
  readonly list?: boolean
  readonly report?: string
  readonly scale: number
}

const program = new Command('npm run bench --')
  .description('Measure the benchmarks that are named, or all. A target that is missed is no error.')
  .addArgument(
    new Argument('[names...]', `of groups (${groups.join(', ')}), or single benchmarks`).argParser(known),
  )
  .option('--full', `measure ${PAIRS_FULL} pairs of each, not one`)
  .option('--json', 'print one JSON array on one line')
  .addOption(
    new Option('--list', 'print them all, measure nothing').conflicts(['full', 'json', 'report', 'scale']),
  )
  .option('--report <directory>', 'add the results to those there, and draw charts', directory)
  .option('--scale <factor>', 'multiply all sizes, to try benchmarks out', factor, 1)
  .parse()
const { full = false, json = false, list = false, report: reportDirectory, scale } = program.opts<Options>()

const wanted = benchmarks.filter(
  ({ name }) =>
    program.args.length === 0 || program.args.some((arg) => arg === name || name.startsWith(`${arg}/`)),
)
if (list) process.stdout.write(formatList(wanted))
else await run()

async function run(): Promise<void> {
  const report = reportDirectory === undefined ? undefined : await open(reportDirectory)
  const progress = new Progress(process.stderr, wanted.length)
  const measured: Measured[] = []
  const kept: Kept[] = []
  try {
    for (const benchmark of wanted) {
      progress.begin(benchmark.name)
      const outcome = await measureIfPossible(benchmark)
      if (outcome === undefined) continue
      measured.push(outcome)
      kept.push(keep(outcome, { date: new Date().toISOString(), full, scale }))
    }
  } finally {
    // If one benchmark fails, the results before it are kept all the same.
    if (report !== undefined && kept.length > 0)
      await writeReport(reportDirectory!, merge(report, kept, names))
  }
  progress.end()
  process.stdout.write(
    json ? `${JSON.stringify(measured.map(({ result }) => result))}\n` : formatTable(measured),
  )
}

/** Undefined, with a message, if the benchmark needs a program that is not installed. */
async function measureIfPossible(benchmark: Benchmark): Promise<Measured | undefined> {
  try {
    return await measure(benchmark, scale, full ? PAIRS_FULL : 1)
  } catch (error) {
    if (!(error instanceof NatsServerMissing)) throw error
    process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}SKIPPED ${benchmark.name}: ${error.message}\n`)
    return undefined
  }
}

function open(path: string): Promise<Report> {
  return openReport(path).catch((error: Error) => program.error(`error: ${error.message}`))
}

/** The names of groups or benchmarks that are known. */
function known(name: string, before: readonly string[] = []): string[] {
  if (groups.includes(name) || names.includes(name)) return [...before, name]
  throw new InvalidArgumentError(`Allowed choices are ${[...new Set([...groups, ...names])].join(', ')}.`)
}

function directory(text: string): string {
  if (text === '' || text.startsWith('-')) throw new InvalidArgumentError('Give the path of a directory.')
  return text
}

function factor(text: string): number {
  const value = Number(text)
  if (!(value >= SCALE_MIN && value <= 1))
    throw new InvalidArgumentError(`Give a number from ${SCALE_MIN} to 1.`)
  return value
}
