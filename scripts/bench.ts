/** How fast is it, beside what one would use instead? `npm run bench -- --help` */
import { Argument, Command, InvalidArgumentError } from 'commander'
import { checkpoint } from './bench/checkpoint.ts'
import { crowds } from './bench/crowd.ts'
import { leaseTable } from './bench/lease-table.ts'
import { restart } from './bench/restart.ts'
import { type Measured, measure } from './bench/runner.ts'
import { formatTable } from './bench/table.ts'

/** Below, there is too little of anything to share out. */
const SCALE_MIN = 0.001
/** Pairs of each benchmark that tell more than one. */
const PAIRS_FULL = 5

const benchmarks = [...leaseTable, ...restart, ...checkpoint, ...crowds]
const names = benchmarks.map(({ name }) => name)
const groups = new Set(names.map((name) => name.split('/')[0]!))

const program = new Command('npm run bench --')
  .description('Measure the benchmarks that are named, or all. A target that is missed is no error.')
  .addArgument(
    new Argument('[names...]', 'of groups or benchmarks').choices([...groups.union(new Set(names))]),
  )
  .option('--full', `measure ${PAIRS_FULL} pairs of each, not one`)
  .option('--json', 'print one JSON array on one line')
  .option('--scale <factor>', 'multiply all sizes, to try benchmarks out', factor, 1)
  .parse()
const {
  json = false,
  full = false,
  scale,
} = program.opts<{ json?: boolean; full?: boolean; scale: number }>()

const wanted = ({ name }: { readonly name: string }) =>
  program.args.length === 0 || program.args.some((arg) => arg === name || name.startsWith(`${arg}/`))
const measured: Measured[] = []
for (const benchmark of benchmarks.filter(wanted)) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kmeasuring ${benchmark.name}`)
  measured.push(await measure(benchmark, scale, full ? PAIRS_FULL : 1))
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
process.stdout.write(
  json ? `${JSON.stringify(measured.map(({ result }) => result))}\n` : formatTable(measured),
)

function factor(text: string): number {
  const value = Number(text)
  if (!(value >= SCALE_MIN && value <= 1))
    throw new InvalidArgumentError(`Give a number from ${SCALE_MIN} to 1.`)
  return value
}
