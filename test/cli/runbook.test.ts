import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { findNatsServer, type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { Place } from './anchorage.ts'
import { missingLine, type Procedure, readProcedures, type Step } from './runbook-page.ts'
import { Services } from './services.ts'

const PROCEDURES = new Map(readProcedures().map((procedure) => [procedure.title, procedure]))
const performed = new Set<string>()

let place: Place
let services: Services
/** Names on the page that stand for what there is here. */
const names = new Map<string, string>()

/** Run what the page says, in a shell that has the folder's settings, as its reader has them. */
async function shell(commands: string): Promise<{ code: number; stdout: string; stderr: string }> {
  let script = `set -e; set -a; . ./anchorage.env; set +a\n${commands}`
  for (const [name, here] of names) script = script.replaceAll(name, here)
  const child = spawn('sh', ['-c', script], {
    cwd: place.dir,
    env: { ...services.settings, PATH: `${place.path('bin')}:${process.env.PATH}`, HOME: place.dir },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [code, stdout, stderr] = await Promise.all([
    new Promise<number>((resolve) => child.once('close', resolve)),
    text(child.stdout),
    text(child.stderr),
  ])
  return { code, stdout, stderr }
}

/** What they print as their results. Throws when they end with another code than 0. */
async function run(commands: string): Promise<string> {
  const { code, stdout, stderr } = await shell(commands)
  if (code === 0) return stdout
  throw new Error(`it ended with code ${code}:\n${commands}\nIt printed:\n${stdout}${stderr}`)
}

async function perform(step: Step): Promise<void> {
  const printed = await run(step.commands)
  const missing = missingLine(step.expected, printed)
  if (missing === undefined) return
  throw new Error(`it printed no line "${missing}":\n${step.commands}\nIt printed:\n${printed}`)
}

/** The steps of a section, or some of them. A section is performed when its last step is. */
async function procedure(title: string, from = 0, to = Number.POSITIVE_INFINITY): Promise<void> {
  const { steps } = PROCEDURES.get(title) as Procedure
  for (const step of steps.slice(from, to)) await perform(step)
  if (to >= steps.length) performed.add(title)
}

async function open(settings: Record<string, string>): Promise<void> {
  place = await Place.make()
  mkdirSync(place.path('data'))
  writeFileSync(
    place.path('anchorage.env'),
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  services = await Services.in(place, { NODE_COMPILE_CACHE: place.path('compiled'), ...nodeOptions })
}

let nodeOptions: NodeJS.ProcessEnv = {}

async function close(): Promise<void> {
  await services[Symbol.asyncDispose]()
  await place[Symbol.asyncDispose]()
}

describe('on a group of three replicas', () => {
  let nats: NatsServers | undefined
  beforeAll(async () => {
    await open({ ANCHORAGE_LOG: 'anchorage.db', ANCHORAGE_NETWORK_KEY: 'network.key' })
    await run('anchorage network-key network.key')
    await services.start('a')
    await Promise.all([services.start('b'), services.start('c')])
    const rows = Array.from({ length: 500 }, (_, n) => `{"key": "row ${n}", "value": ${n}}\n`).join('')
    writeFileSync(place.path('rows.jsonl'), rows)
    await run('until anchorage status --check --expect 3; do sleep 1; done')
    await run(`anchorage load rows.jsonl; anchorage set city '"Bern"'; anchorage checkpoint`)
  })
  afterAll(async () => {
    await close()
    await nats?.[Symbol.asyncDispose]()
  })

  /** Whatever was done, nothing that was written before is lost. */
  afterEach(async () => {
    expect(await run('anchorage get city')).toBe('"Bern"\n')
  })

  /** One of three is dead, and the others know: until then it counts as in sync. */
  const die = async (name: string) => {
    await services.kill(name)
    await run('while anchorage status --check --expect 3; do sleep 1; done')
  }

  test('Replace a replica', async () => {
    await die('c')
    mkdirSync(place.path('rescued'))
    renameSync(place.path('data/c'), place.path('rescued/c'))
    await procedure('Replace a replica', 0, 2)
    await die('c')
    await procedure('Replace a replica', 2)
  })

  test('Grow and shrink the group', () => procedure('Grow and shrink the group'))

  test('Prune the log', async () => {
    await procedure('Prune the log')
    const { first } = JSON.parse(await run('anchorage status --json'))
    expect(first).toBeGreaterThan(1)
  })

  test('Replace the network key', async () => {
    await run('cp network.key stolen.key')
    await procedure('Replace the network key')
    const { code, stderr } = await shell('anchorage verify --network-key stolen.key')
    expect([code, stderr]).toEqual([1, expect.stringContaining('network key')])
  })

  test('Lose the majority', async () => {
    await Promise.all([services.kill('b'), services.kill('d')])
    await procedure('Lose the majority')
  })

  const sqlite = spawnSync('sqlite3', ['--version']).status === 0
  if (!sqlite) performed.add('Back up and restore')
  if (!sqlite) console.warn('*** sqlite3 is not installed: THE TEST OF A RESTORE IS SKIPPED ***')

  test.skipIf(!sqlite)('Back up and restore', async () => {
    await procedure('Back up and restore', 0, 2)
    await run('anchorage set city \'"after the backup"\'')
    await procedure('Back up and restore', 2)
  })

  test('The log is lost', () => procedure('The log is lost'))

  const hasNats = findNatsServer() !== undefined || process.env.REQUIRE_NATS === '1'
  if (!hasNats)
    for (const title of ['Move to another backend', "The log's servers are gone"]) performed.add(title)

  test.skipIf(!hasNats)('Move to another backend', async () => {
    const started = await startNatsServers()
    nats = started
    names.set('nats://n1:4222', started.urls[0]!)
    services.add('nats-server', { start: () => started.start(), stop: () => started.kill('SIGTERM') })
    await procedure('Move to another backend')
  })

  test.skipIf(!hasNats)("The log's servers are gone", async () => {
    await nats!.kill()
    await procedure("The log's servers are gone")
  })
})

describe('on a group of two replicas with a machine of their own', () => {
  const example = (name: string) => fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url))
  beforeAll(async () => {
    // The examples import the package by its name.
    const byName = fileURLToPath(new URL('../setup/package-by-name.ts', import.meta.url))
    nodeOptions = { NODE_OPTIONS: `--import ${byName}` }
    await open({ ANCHORAGE_LOG: 'inventory.db', ANCHORAGE_NODE_MACHINE: example('inventory.ts') })
    await services.start('a')
    await services.start('b')
    await run(`anchorage submit '{"article": "bolts", "count": 30}'`)
  })
  afterAll(close)

  test('Upgrade', async () => {
    await procedure('Upgrade')
    expect(await run('anchorage status')).toContain('inventory/2')
  })
})

test('every procedure of the page is performed here, or skipped for want of a server', () => {
  expect([...performed].sort()).toEqual([...PROCEDURES.keys()].sort())
})
