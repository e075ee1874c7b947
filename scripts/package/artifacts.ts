import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pack, run } from './archive.ts'
import { packCreate } from './create.ts'

/** From the lockfile, so that it lists the builds for all machines and needs no installation. */
export const SBOM_COMMAND = 'npm sbom --package-lock-only --sbom-format cyclonedx --omit dev'.split(' ')

/**
 * Pack the package and `create-anchorage`, list what the package depends on (CycloneDX), and write the SHA-256 sums of all
 * three, as `sha256sum --check` reads them. Returns the paths.
 */
export async function makeArtifacts(root: string, into: string): Promise<string[]> {
  mkdirSync(into, { recursive: true })
  const archive = pack(root, into)
  const bill = archive.replace(/\.tgz$/, '.cdx.json')
  writeFileSync(bill, billOf(root))
  // It depends on nothing.
  const create = await packCreate(root, into)
  const files = [archive, create, bill]
  const sums = files.map((path) => `${sha256(path)}  ${basename(path)}\n`)
  const list = join(into, 'SHA256SUMS')
  writeFileSync(list, sums.join(''))
  return [...files, list]
}

function billOf(root: string): string {
  const [command, ...args] = SBOM_COMMAND
  const bill = JSON.parse(run(command!, args, root))
  // npm names the package after its folder.
  bill.metadata.component.name = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).name
  return `${JSON.stringify(bill, undefined, 2)}\n`
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
