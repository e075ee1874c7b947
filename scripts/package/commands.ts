/** Every command of the installed package, on the machine that docs/machines.md shows. Run in an empty project. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const TIMEOUT_MS = 120_000
const MACHINE = ['--machine', './inventory.ts']
const LOG = ['--log', 'inventory.db']

/** What a command prints, and each must print to be right. */
const COMMANDS: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
  [['submit', '{"article": "bolts", "count": 3}'], /^submitted \(entry \d+\)$/],
  [['submit', '{"article": "bolts", "count": -5}', ...MACHINE], /^\{"done":false,"stock":3\}$/],
  [['get', 'bolts'], /^3$/],
  [['get', 'bolts', ...MACHINE], /^3$/],
  [['status'], /machine {3}inventory\/1, group format \d/],
  [['members'], /in-sync .* inventory\/1/],
  [['verify'], /all agree/],
  [['checkpoint'], /^the state at entry \d+ is on the disks of …/],
  [['prune', '--keep', '0'], /^pruned the log up to entry \d+$/],
  [['export', 'inventory.checkpoint'], /^wrote the state at entry \d+ to inventory\.checkpoint$/],
  [['verify', 'inventory.checkpoint'], /intact; group default/],
  [['get', 'bolts'], /^3$/],
]

/** Throws for the first command that does not do what it should. */
export async function tryCommands(project: string): Promise<void> {
  await besideNode(project, [...LOG, '--data', 'inventory'], async () => {
    for (const [args, expected] of COMMANDS) await expectOf(project, [...args, ...LOG], expected)
  })
  const into = ['--log', 'imported.db', '--data', 'imported']
  await expectOf(project, ['import', 'inventory.checkpoint', ...into], /import/)
  await besideNode(project, into, async () => {
    await expectOf(project, ['get', 'bolts', '--log', 'imported.db'], /^3$/)
  })
}

/** While a replica runs and leads. */
async function besideNode(
  project: string,
  args: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  const node = spawn('npx', ['anchorage', 'node', ...MACHINE, ...args, '--json'], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
    // npx passes no signal on to what it runs.
    detached: true,
  })
  const ended = once(node, 'close')
  try {
    await leads(node)
    await work()
  } finally {
    process.kill(-node.pid!, 'SIGTERM')
    await ended
  }
}

async function expectOf(project: string, args: readonly string[], expected: RegExp): Promise<void> {
  const options = { cwd: project, timeout: TIMEOUT_MS }
  const { stdout } = await promisify(execFile)('npx', ['anchorage', ...args], options)
  if (expected.test(stdout.trim())) return
  throw new Error(`anchorage ${args.join(' ')} printed ${stdout.trim()}, which is not ${expected}`)
}

async function leads(node: ChildProcess): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  for await (const line of createInterface({ input: node.stdout!, signal }))
    if (JSON.parse(line).event === 'leader') break
  // What follows is of no interest, and must not fill the pipe.
  node.stdout!.resume()
}
