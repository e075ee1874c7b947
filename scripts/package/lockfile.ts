/**
 * Says what in package-lock.json cannot be trusted, and fails if there is something. `npm audit` asks a registry for known
 * holes; this asks nobody, and holds what a lockfile is for: that all install the same bytes, from one place, and that no
 * package runs a script of its own unless package.json allows it.
 */
import { readFileSync } from 'node:fs'

export interface Lockfile {
  readonly lockfileVersion: number
  readonly version: string
  readonly packages: Readonly<Record<string, LockedPackage>>
}

interface LockedPackage {
  readonly version?: string
  /** npm leaves it out with `omit-lockfile-registry-resolved`. Then the package is of the registry that npm is set to. */
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly optional?: boolean
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

export interface Manifest {
  readonly version: string
  readonly allowScripts?: Readonly<Record<string, boolean>>
}

const REGISTRY = 'https://registry.npmjs.org/'

/**
 * Builds of 1.3.6 for other machines than x64 with Linux. Their hashes were not to be had where the lockfile was written.
 * docs/releasing.md says how they are added.
 */
const WITHOUT_HASH = /^@napi-rs\/blake-hash-(?!linux-x64-)[a-z0-9-]+@1\.3\.6$/

/** What is wrong with a lockfile, a sentence each. */
export function lockfileFindings(lock: Lockfile, manifest: Manifest): string[] {
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
  const allowed = manifest.allowScripts ?? {}
  const withScript = new Set(
    packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path)),
  )
  return [
    ...(lock.lockfileVersion === 3 ? [] : [`it is of version ${lock.lockfileVersion}, not 3`]),
    ...(lock.version === manifest.version
      ? []
      : [`it is of version ${lock.version} of the package, not ${manifest.version}`]),
    ...(packages.length > 0 ? [] : ['it lists no packages']),
    ...packages.flatMap(([path, locked]) => packageFindings(path, locked, allowed)),
    ...Object.keys(allowed)
      .filter((name) => !withScript.has(name))
      .map((name) => `allowScripts of package.json names ${name}, which has no script`),
  ]
}

function packageFindings(
  path: string,
  locked: LockedPackage,
  allowed: NonNullable<Manifest['allowScripts']>,
) {
  const { version, resolved, integrity, link, optional, dev, hasInstallScript } = locked
  const name = nameOf(path)
  const findings: string[] = []
  if (link || (resolved !== undefined && !resolved.startsWith(REGISTRY)))
    findings.push(`${path} comes from ${resolved ?? 'a folder'}, not from ${REGISTRY}`)
  const mayLack = optional === true && WITHOUT_HASH.test(`${name}@${version}`)
  if (!integrity?.startsWith('sha512-') && !(integrity === undefined && mayLack))
    findings.push(`${path} has no SHA-512 hash`)
  if (hasInstallScript && !dev) findings.push(`${path} runs a script where Anchorage is installed`)
  if (hasInstallScript && !(name in allowed))
    findings.push(`${path} has a script, and allowScripts of package.json does not say whether it may run`)
  return findings
}

/** `node_modules/a/node_modules/@b/c` is `@b/c`. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

if (import.meta.main) {
  const read = (name: string) => JSON.parse(readFileSync(name, 'utf8'))
  const findings = lockfileFindings(read('package-lock.json'), read('package.json'))
  for (const finding of findings) console.error(`package-lock.json: ${finding}`)
  if (findings.length > 0) process.exitCode = 1
}
