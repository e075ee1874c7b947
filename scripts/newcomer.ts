/**
 * Follows README.md as somebody does who has never seen the project: on a machine with Node 20 and npm, an empty home and an
 * empty cache of npm. The commands are those of the page. First from a clone of the last commit to the demo, then from an empty
 * folder to a map in two terminals. Prints how long each step took. It fails if a step fails. What is too slow is told: it may
 * be the machine, or the way to the registry.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { follow } from '../test/docs/follow.ts'
import { DEMO, OWN_CODE, shapesOf, stepsOf } from '../test/docs/readme.ts'
import { Terminals } from '../test/docs/terminals.ts'
import type { Step } from '../test/docs/walkthrough.ts'
import { cleanMachine } from './newcomer/machine.ts'
import { type Registry, startRegistry } from './newcomer/registry.ts'

const ROOT = dirname(import.meta.dirname)
const DEMO_SECONDS_MAX = 120
const OWN_SECONDS_MAX = 300
/** A command that hangs is ended after this. */
const COMMAND_MS_MAX = 600_000

async function main(folder: string): Promise<void> {
  const env = cleanMachine(folder)
  const node = execFileSync('node', ['--version'], { env, encoding: 'utf8' }).trim()
  console.log(`on a machine with Node ${node}, npm, and an empty cache`)
  const clone = join(folder, 'clone')
  const demo = await fromCloneToDemo(clone, env)
  await using registry = await servePackages(clone, folder, env)
  // As empty as the first one was.
  const npm_config_cache = join(folder, 'npm-cache-of-own')
  const own = await fromEmptyFolder(clone, { ...env, npm_config_registry: registry.url, npm_config_cache })
  for (const late of [demo, own]) if (late !== undefined) console.error(`\n*** TOO SLOW: ${late} ***`)
}

/** Resolves with what there is to complain about, if it took too long. */
async function fromCloneToDemo(clone: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  await using terminals = new Terminals({ cwd: dirname(clone), env, runMsMax: COMMAND_MS_MAX })
  const watch = new Stopwatch('from a clone to the demo', DEMO_SECONDS_MAX)
  await watch.time('git clone', terminals.run(`git clone --quiet '${ROOT}' clone\ncd clone`, []))
  for (const step of stepsOf(readme(clone), DEMO).flatMap(commandsOf)) {
    const anyFigures = step.kind === 'run' ? { ...step, prints: shapesOf(step.prints) } : step
    await watch.time(nameOf(step), follow(anyFigures, terminals))
  }
  return watch.end()
}

/** Packs both packages of the clone, and serves them: in the registry they are what was released last, if anything was. */
async function servePackages(clone: string, folder: string, env: NodeJS.ProcessEnv): Promise<Registry> {
  const archives = join(folder, 'archives')
  mkdirSync(archives)
  const npm = (...args: string[]) => execFileSync('npm', args, { cwd: clone, env, encoding: 'utf8' })
  npm('pack', '--silent', '--pack-destination', archives)
  npm('exec', 'node', '--', 'scripts/package/create.ts', archives)
  const paths = readdirSync(archives).map((name) => join(archives, name))
  return await startRegistry(paths, npm('config', 'get', 'registry').trim())
}

/** Resolves with what there is to complain about, if it took too long. */
async function fromEmptyFolder(clone: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const cwd = join(dirname(clone), 'empty')
  mkdirSync(cwd)
  await using terminals = new Terminals({ cwd, env, runMsMax: COMMAND_MS_MAX })
  const watch = new Stopwatch('from an empty folder to two replicas', OWN_SECONDS_MAX)
  for (const step of stepsOf(readme(clone), OWN_CODE).flatMap(commandsOf))
    await watch.time(nameOf(step), follow(step, terminals))
  await watch.time('Ctrl-D in each terminal', terminals.endAll())
  return watch.end()
}

/** Tells how long each step took. */
class Stopwatch {
  readonly #what: string
  readonly #secondsMax: number
  readonly #beganMs = performance.now()

  constructor(what: string, secondsMax: number) {
    this.#what = what
    this.#secondsMax = secondsMax
    console.log(`\n${what}, within ${secondsMax} s:`)
  }

  async time(name: string, work: Promise<void>): Promise<void> {
    const beganMs = performance.now()
    await work
    console.log(`${secondsSince(beganMs).toFixed(1).padStart(7)} s  ${name}`)
  }

  /** Returns that it was too slow, if it was. */
  end(): string | undefined {
    const seconds = secondsSince(this.#beganMs)
    console.log(`${seconds.toFixed(1).padStart(7)} s  in all`)
    if (seconds <= this.#secondsMax) return undefined
    return `${this.#what} it took ${seconds.toFixed(1)} s, and should take ${this.#secondsMax} s at most`
  }
}

function secondsSince(beganMs: number): number {
  return (performance.now() - beganMs) / 1_000
}

function readme(clone: string): string {
  return readFileSync(join(clone, 'README.md'), 'utf8')
}

/** Each command of a block by itself, so that each is timed. */
function commandsOf(step: Step): readonly Step[] {
  if (step.kind === 'part') return []
  if (step.kind !== 'run') return [step]
  const commands = step.body.trim().split(/\n| && /)
  return commands.map((body, n) => ({ ...step, body, prints: n === commands.length - 1 ? step.prints : [] }))
}

function nameOf(step: Step): string {
  switch (step.kind) {
    case 'run':
      return step.body
    case 'start':
      return `${step.body}, in terminal ${step.terminal}`
    case 'shows':
      return `terminal ${step.terminal} shows: ${step.lines.join('; ')}`
    case 'type':
      return `${step.ends === undefined ? '' : `Ctrl-D in terminal ${step.ends}, and `}type into terminal ${step.terminal}: ${step.body.trim()}`
    case 'file':
    case 'part':
    case 'change':
      return step.name
    default:
      throw new Error(`no such step: ${step satisfies never}`)
  }
}

const folder = mkdtempSync(join(tmpdir(), 'anchorage-newcomer-'))
try {
  await main(folder)
} catch (error) {
  console.error(`\n${(error as Error).message}`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}
