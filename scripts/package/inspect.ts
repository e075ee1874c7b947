/**
 * Looks at the packed package as others will: publint and attw read the archive, TypeScript reads the types of each entry
 * point in a project of a stranger, a bundler drops what is not used, and the newest Node runs it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { entryPoints, install, pack } from './archive.ts'
import { bundleFindings } from './bundled.ts'
import { lint } from './lint.ts'
import { runOn } from './newer-node.ts'
import { checkTypes } from './types.ts'

const ROOT = dirname(dirname(import.meta.dirname))
/** Beside the one that the tests run on. */
const NEWER_NODE = 26

const folder = mkdtempSync(join(tmpdir(), 'anchorage-inspect-'))
const projectOf = (name: string): string => {
  const project = join(folder, name)
  mkdirSync(project)
  return project
}

try {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const names = entryPoints(join(ROOT, 'package.json'))
  const archive = pack(ROOT, folder)
  const findings = await lint(archive, names)
  console.log(`publint and attw have read ${names.length} entry points`)

  const typed = projectOf('types')
  const compiler = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`)
  install(typed, [archive, ...compiler])
  findings.push(...checkTypes(typed, names), ...(await bundleFindings(typed)))
  console.log(
    'TypeScript has checked their types without skipLibCheck, and a bundler has dropped what is not used',
  )

  const newer = projectOf('newer')
  install(newer, [archive, `node@${NEWER_NODE}`])
  console.log(`${runOn(newer, names)} runs the commands and the library`)

  for (const finding of findings) console.error(finding)
  if (findings.length > 0) process.exitCode = 1
  else console.log('nothing is wrong with the package')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
