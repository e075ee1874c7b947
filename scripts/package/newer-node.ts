import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './archive.ts'

const NODE = join('node_modules', '.bin', 'node')
const ANCHORAGE = join('node_modules', 'anchorage', 'dist', 'cli', 'main.js')

const PROGRAM = `
import { createReplica, memoryLog, ReplicatedMap } from 'anchorage'

const map = new ReplicatedMap()
await using replica = await createReplica({ group: 'newer', machine: map, log: memoryLog() })
await replica.inSync()
await map.set('a', 1)
console.log(process.version, map.get('a'))
`

/**
 * Run commands and the library with the Node that is installed in a project, beside the package. Returns its name; throws
 * for what does not work.
 */
export function runOn(project: string, entryPoints: readonly string[]): string {
  const node = (...args: string[]): string => run(join(project, NODE), args, project).trim()
  const imports = entryPoints.filter((name) => !name.endsWith('.json')).map((name) => `import '${name}'\n`)
  writeFileSync(join(project, 'program.js'), `${imports.join('')}${PROGRAM}`)

  const version = node('--version')
  node(ANCHORAGE, '--version')
  node(ANCHORAGE, 'set', 'answer', '42', '--create')
  expect(node(ANCHORAGE, 'get', 'answer'), '42')
  expect(node('program.js'), `${version} 1`)
  return `Node ${version}`
}

function expect(printed: string, expected: string): void {
  if (printed !== expected) throw new Error(`it printed ${printed}, and not ${expected}`)
}
