import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { WORKLOADS } from '../src/testing/simulation/workloads/index.ts'
import { hunt, huntTable } from './simulate/hunt.ts'
import { PLANTED_BUGS } from './simulate/planted-bugs.ts'
import { type Done, Pool, type Task } from './simulate/pool.ts'
import { SeedReport } from './simulate/seed-report.ts'

const USAGE = `Usage: npm run simulate -- [--minutes M] [--seeds N] [--seed S] [--workload W] [--joins N]

Runs whole groups from seeds, on all cores, and tries to break the promises of Anchorage.

  --minutes M     begin no seed after M minutes (default 1)
  --seeds N       run N seeds, however long that takes
  --seed S        begin with seed S (default: of the day); alone, run only that one
  --workload W    ${Object.keys(WORKLOADS).join(', ')}, or all of them in turn (default)
  --joins N       measure N catch-ups of replicas that join and leave, and nothing else goes wrong
  --hunt          look for each planted bug in N seeds (default 2,000), and print a table
  --bug NAME      of these, only those whose name has NAME in it
  --processes P   how many processes run seeds (default: one for each core)
  --shrink R      runs to find the smallest one that fails (default 100)`

/** Failures after which it ends: more would tell nothing new. */
const FAILURES_MAX = 5

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seeds: { type: 'string' },
    seed: { type: 'string' },
    workload: { type: 'string' },
    joins: { type: 'string' },
    processes: { type: 'string' },
    shrink: { type: 'string' },
    hunt: { type: 'boolean' },
    bug: { type: 'string' },
    help: { type: 'boolean' },
  },
})

if (values.help === true) console.log(USAGE)
else process.exitCode = values.hunt === true ? await huntAll() : await main()

async function main(): Promise<number> {
  const first = number('seed', values.seed ?? String(Math.floor(Date.now() / 86_400_000) * 10_000))
  const isAlone = values.seed !== undefined && values.seeds === undefined && values.minutes === undefined
  const seeds =
    values.seeds === undefined ? (isAlone ? 1 : Number.POSITIVE_INFINITY) : number('seeds', values.seeds)
  const minutes = number(
    'minutes',
    values.minutes ?? (values.seeds === undefined && values.joins === undefined ? '1' : '100000'),
  )
  const joins = values.joins === undefined ? undefined : number('joins', values.joins)
  const names =
    values.workload === undefined
      ? joins === undefined
        ? Object.keys(WORKLOADS)
        : ['map']
      : [values.workload]
  for (const name of names)
    if (WORKLOADS[name] === undefined)
      throw new RangeError(`there is no workload ${name}; there are ${Object.keys(WORKLOADS).join(', ')}`)
  const processes = number('processes', values.processes ?? String(availableParallelism()))
  if (processes < 1) throw new RangeError('--processes is 0; give a number from 1')
  const shrinkRuns = number('shrink', values.shrink ?? '100')

  const report = new SeedReport(process.stderr)
  const endMs = Date.now() + minutes * 60_000
  using pool = new Pool(Math.min(seeds, processes))
  let count = 0
  const next = (): Task | undefined => {
    if (count >= seeds || Date.now() >= endMs || report.failures.length >= FAILURES_MAX) return undefined
    if (joins !== undefined && report.joins >= joins) return undefined
    const seed = first + count
    const workload = names[count % names.length]!
    count++
    const mode = joins === undefined ? '' : ' --joins 1'
    const command = `npm run simulate -- --seed ${seed} --workload ${workload}${mode}`
    return { seed, workload, plan: joins === undefined ? 'trouble' : 'joins', shrinkRuns, command }
  }
  await pool.run(next, (done: Done) => report.add(done))
  console.log(report.text)
  return report.failures.length > 0 ? 1 : 0
}

async function huntAll(): Promise<number> {
  const bugs = PLANTED_BUGS.filter(({ name }) => name.includes(values.bug ?? ''))
  if (bugs.length === 0) throw new RangeError(`no planted bug has "${values.bug}" in its name`)
  const found = await hunt(bugs, number('seeds', values.seeds ?? '2000'), ({ bug, seeds, broke }) => {
    console.error(`${bug.name}: ${broke ?? 'NOT FOUND'} after ${seeds} seeds`)
  })
  console.log(huntTable(found))
  return found.every(({ broke }) => broke !== undefined) ? 0 : 1
}

function number(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`--${name} is ${text}; give a number from 0`)
  return value
}
