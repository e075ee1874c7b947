import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { developed, entryPoints, install, PACKAGE_JSON } from './archive.ts'
import { bundleFindings } from './bundled.ts'
import { lint } from './lint.ts'
import { runOn } from './newer-node.ts'
import { checkTypes } from './types.ts'

/** Beside the one that the tests run on. */
const NEWER_NODE = 26

/**
 * Look at the package as others will: publint and attw read the archive, TypeScript reads the types of each entry
 * point in a project of a stranger, a bundler drops what is not used, and the newest Node runs it. Returns what is wrong.
 */
export async function inspect(folder: string, archive: string): Promise<string[]> {
  const projectOf = (name: string): string => {
    const project = join(folder, name)
    mkdirSync(project)
    return project
  }
  const names = entryPoints(PACKAGE_JSON)
  const findings = await lint(archive, names)
  console.log(`publint and attw have read ${names.length} entry points`)

  const typed = projectOf('types')
  install(typed, [archive, ...developed(['typescript', '@types/node'])])
  findings.push(...checkTypes(typed, names), ...(await bundleFindings(typed)))
  console.log(
    'TypeScript has checked their types without skipLibCheck, and a bundler has dropped what is not used',
  )

  const newer = projectOf('newer')
  install(newer, [archive, `node@${NEWER_NODE}`])
  console.log(`${runOn(newer, names)} runs the commands and the library`)
  return findings
}
