import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pack, run } from './archive.ts'

/** From the lockfile, so that it lists the builds for all machines and needs no installation. */
export const SBOM_COMMAND = 'npm sbom --package-lock-only --sbom-format cyclonedx --omit dev'.split(' ')

/**
 * Pack the package, list what it depends on (CycloneDX), and write the SHA-256 sums of both, as `sha256sum --check` reads
 * them. Returns the paths.
 */
export function makeArtifacts(root: string, into: string): string[] {
  mkdirSync(into, { recursive: true })
  const archive = pack(root, into)
  const bill = archive.replace(/\.tgz$/, '.cdx.json')
  writeFileSync(bill, billOf(root))
  const sums = [archive, bill].map((path) => `${sha256(path)}  ${basename(path)}\n`)
  const list = join(into, 'SHA256SUMS')
  writeFileSync(list, sums.join(''))
  return [archive, bill, list]
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
