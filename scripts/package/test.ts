/** Tests whether the package works where it is installed, and whether others will find something wrong with it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack, ROOT } from './archive.ts'
import { inspect } from './inspect.ts'
import { tryUse } from './use.ts'

const folder = mkdtempSync(join(tmpdir(), 'anchorage-package-'))
try {
  const archive = pack(ROOT, folder)
  const project = join(folder, 'used')
  mkdirSync(project)
  await tryUse(project, archive)
  console.log('the package works in an empty project')
  const findings = await inspect(folder, archive)
  for (const finding of findings) console.error(finding)
  if (findings.length > 0) process.exitCode = 1
  else console.log('nothing is wrong with the package')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
