/**
 * Tests whether the package works where it is installed. It packs it, installs the archive and Node 24 in an
 * empty project, and uses the command line, the library and the harness.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const project = mkdtempSync(join(tmpdir(), 'anchorage-package-'))
const run = (command: string, args: readonly string[], cwd: string): string =>
  execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 300_000,
    stdio: ['ignore', 'pipe', 'inherit'],
  })

const SCRIPT = `
import { createReplica, ReplicatedMap, sqliteLog } from 'anchorage'
import { startCluster } from 'anchorage/testing'

const map = new ReplicatedMap()
await using replica = await createReplica({ group: 'package', machine: map, log: sqliteLog({ path: 'library.db' }) })
await replica.inSync()
await map.set('a', 1)

await using cluster = await startCluster({ replicas: 2, options: { volatile: true } })
await cluster.replicas[0].set('b', 2)
await (await cluster.leader()).prune({ keepEntries: 0 })
const joiner = await cluster.start()
await joiner.inSync()
if (map.get('a') !== 1 || (await joiner.get('b')) !== 2) throw new Error('a value is missing')
console.log('library and harness work')
`

try {
  const archive = run('npm', ['pack', '--silent', '--pack-destination', project], process.cwd())
    .trim()
    .split('\n')
    .at(-1)!
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'empty', private: true, type: 'module', allowScripts: { node: true } }),
  )
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', `./${archive}`, 'node@24'], project)
  writeFileSync(join(project, 'script.js'), SCRIPT)
  run('npx', ['anchorage', '--help'], project)
  run('npx', ['anchorage', 'set', 'answer', '42', '--create'], project)
  const answer = run('npx', ['anchorage', 'get', 'answer'], project).trim()
  if (answer !== '42') throw new Error(`anchorage get printed ${answer}, not 42`)
  process.stdout.write(run('npx', ['node', 'script.js'], project))
  console.log('the package works in an empty project')
} finally {
  rmSync(project, { recursive: true, force: true })
}
