/** Measures ours beside others, and writes docs/figures.md: `npm run figures -- --help`. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { describeMachine } from './bench/machine.ts'
import { contenders } from './figures/contenders.ts'
import { rowsText } from './figures/history.ts'
import type { Outcome, Task } from './figures/measure.ts'
import { cache, installOthers, OTHERS, type Other, type Others } from './figures/others.ts'
import { formatFigures, writeFigures } from './figures/page.ts'
import type { Figures, Missing } from './figures/results.ts'

/** Log entries for each item. */
const ROUNDS = 10
const [RUNS, RUNS_MAX] = [5, 20]
const MINUTES_MAX = 60
const SETTLE_MS = 5_000

const root = dirname(import.meta.dirname)
const ids = contenders.map(({ id }) => id)

const program = new Command('npm run figures --')
  .description(
    'Install others into a cache folder, measure how long a newcomer takes with each, and write docs/figures.md.\nOn Linux, for it reads /proc.',
  )
  .option('--runs <count>', 'newcomers of each', (text) => integer(text, RUNS_MAX), RUNS)
  .option('--try <items>', 'so many items only, and write nothing', (text) => integer(text, 200_000))
  .option('--only <ids...>', `measure only some, and write nothing: ${ids.join(', ')}`)
  .addOption(new Option('--without <names...>', 'install and measure without these').choices(OTHERS))
  .parse()
const options = program.opts<{ runs: number; try?: number; only?: string[]; without?: Other[] }>()
const unknown = options.only?.find((id) => !ids.includes(id))
if (unknown !== undefined) program.error(`error: ${unknown} is none of ${ids.join(', ')}`)
if (process.platform !== 'linux') program.error('error: this reads /proc, so it needs Linux')

const dir = await mkdtemp(join(tmpdir(), 'anchorage-figures-'))
try {
  const figures = await measure()
  process.stdout.write(`${formatFigures(figures)}\n`)
  if (options.try === undefined && options.only === undefined) await writeFigures(root, figures)
  for (const { name, why } of figures.missing) process.stderr.write(`\nNOT MEASURED: ${name}: ${why}\n`)
} finally {
  await rm(dir, { recursive: true, force: true, maxRetries: 5 })
}

async function measure(): Promise<Figures> {
  const wrapper = namespaceWrapper()
  const others = await installOthers(wrapper.length > 0, options.without)
  await runNode([join(root, 'scripts', 'build.ts')], [])
  const missing: Missing[] = []
  const wanted = contenders.filter(({ id }) => options.only?.includes(id) ?? true)
  for (const { name, needs } of wanted) {
    const other = needs && others[needs]
    if (other !== undefined && 'why' in other) missing.push({ name, why: other.why })
  }
  const task: Task = {
    dir,
    cache,
    rows: join(dir, 'rows.tsv'),
    rounds: ROUNDS,
    runs: options.runs,
    settleMs: SETTLE_MS,
    ids: wanted.flatMap(({ id, name }) => (missing.some((one) => one.name === name) ? [] : [id])),
    isolated: wrapper.length > 0,
    outcome: join(dir, 'outcome.json'),
  }
  await writeFile(task.rows, await rowsText(options.try))
  await writeFile(join(dir, 'task.json'), JSON.stringify(task))
  const beganMs = performance.now()
  await runNode([join(root, 'scripts', 'figures', 'measure.ts'), join(dir, 'task.json')], wrapper)
  const outcome: Outcome = JSON.parse(await readFile(task.outcome, 'utf8'))
  return {
    machine: describeMachine(),
    date: new Date().toISOString(),
    minutes: (performance.now() - beganMs) / 60_000,
    versions: await versionsOf(others),
    rounds: ROUNDS,
    ...outcome,
    missing: [...missing, ...outcome.missing],
  }
}

/** What puts a program into a network that has loopback alone. Empty if there is no way to do that here. */
function namespaceWrapper(): string[] {
  const unshare = ['unshare', process.getuid!() === 0 ? '--net' : '--map-root-user', '--net']
  const wrapper = [...new Set(unshare), 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  if (spawnSync(wrapper[0]!, [...wrapper.slice(1), 'true']).status === 0) return wrapper
  process.stderr.write('NO NETWORK OF ITS OWN: bytes are not counted (are unshare and ip installed?)\n')
  return []
}

async function runNode(args: string[], wrapper: readonly string[]): Promise<void> {
  const [command, ...rest] = [...wrapper, process.execPath, ...args]
  const timeout = MINUTES_MAX * 60_000
  const child = spawn(command!, rest, { stdio: 'inherit', timeout, cwd: root })
  // Ctrl-C reaches the child by itself. It ends then, and what was written is removed.
  const ignore = () => {}
  const end = () => child.kill()
  process.on('SIGINT', ignore).on('SIGTERM', end)
  const [code] = await once(child, 'exit')
  process.off('SIGINT', ignore).off('SIGTERM', end)
  if (code !== 0) throw new Error(`${args[0]} failed`)
}

async function versionsOf(others: Others): Promise<Record<string, string>> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const theirs = Object.entries(others).flatMap(([name, other]) =>
    'version' in other ? [[name, other.version]] : [],
  )
  return { anchorage: version, ...Object.fromEntries(theirs) }
}

function integer(text: string, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value
  throw new InvalidArgumentError(`Give a number from 1 to ${max}.`)
}
