import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { git } from './git.ts'
import { lockfileFindings, type Manifest } from './lockfile.ts'
import { isHigher, isVersion } from './version.ts'

const CHANGELOG = 'docs/CHANGELOG.md'

interface PackageJson extends Manifest {
  readonly repository?: string | { readonly url?: string }
  readonly homepage?: string
  readonly bugs?: string | { readonly url?: string }
}

/** The fields that say where a package comes from, and how each is set. */
const ORIGIN = {
  repository: 'npm pkg set repository.type=git repository.url=git+https://HOST/OWNER/NAME.git',
  homepage: 'npm pkg set homepage=https://HOST/OWNER/NAME#readme',
  bugs: 'npm pkg set bugs.url=https://HOST/OWNER/NAME/issues',
} as const

/** Why a version cannot be released from a folder as it is, with what to do: a sentence each. */
export function refusals(root: string, version: string): string[] {
  const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))
  const manifest: PackageJson = read('package.json')
  return [
    ...treeRefusals(root),
    ...versionRefusals(root, version, manifest.version),
    ...changelogRefusals(root, version),
    ...originRefusals(manifest),
    ...lockfileFindings(read('package-lock.json'), manifest).map((one) => `package-lock.json: ${one}`),
  ]
}

/** What git says of each file that is not as it is in the last commit. */
export function changes(root: string): string[] {
  return git(root, 'status', '--porcelain').split('\n').filter(Boolean)
}

function treeRefusals(root: string): string[] {
  const changed = changes(root)
  if (changed.length === 0) return []
  return [`there are changes that are not in a commit. Commit or remove them:\n${changed.join('\n')}`]
}

function versionRefusals(root: string, version: string, current: string): string[] {
  if (!isVersion(version)) return [`${version} is not a version. Give one as 1.2.3, or 1.2.3-rc.1`]
  const found: string[] = []
  if (!isHigher(version, current))
    found.push(`${version} is not higher than ${current}, which package.json has`)
  if (git(root, 'tag', '--list', tagOf(version)) !== '')
    found.push(`there is a tag ${tagOf(version)} already`)
  return found
}

function changelogRefusals(root: string, version: string): string[] {
  if (!isVersion(version)) return []
  const path = join(root, CHANGELOG)
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const heading = new RegExp(`^## \\[?${version.replaceAll('.', '\\.')}\\]? - \\d{4}-\\d\\d-\\d\\d$`, 'm')
  if (heading.test(text)) return []
  return [`${CHANGELOG} says nothing of ${version}. Begin its part with: ## ${version} - ${today()}`]
}

function originRefusals(manifest: PackageJson): string[] {
  return Object.entries(ORIGIN).flatMap(([field, command]) => {
    const value = manifest[field as keyof typeof ORIGIN]
    const url = typeof value === 'object' ? value.url : value
    return url ? [] : [`package.json has no ${field}. Set it: ${command}`]
  })
}

export function tagOf(version: string): string {
  return `v${version}`
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}
