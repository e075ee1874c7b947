/**
 * Makes a release of the package of this folder and of `create-anchorage`, and says what is left to do: docs/releasing.md.
 * It publishes and pushes nothing.
 */
import { execFileSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeArtifacts, SBOM_COMMAND } from './package/artifacts.ts'
import { git } from './package/git.ts'
import { changes, refusals, tagOf } from './package/refusals.ts'
import { isPrerelease } from './package/version.ts'

const USAGE = 'usage: npm run release -- VERSION [--dry-run]'
const CHECKS = ['npm run check', 'npm test', 'npm run test:package'] as const
const CREATE_COMMAND = 'npx node scripts/package/create.ts'
const VERSION_FILES = ['package.json', 'package-lock.json'] as const
const OUT = 'release'

const root = process.cwd()

/** @returns the exit code */
async function main(): Promise<number> {
  const args = argumentsOf()
  if (args === undefined) {
    console.error(USAGE)
    return 2
  }
  const { version, isDryRun } = args
  const found = refusals(root, version)
  if (isDryRun) console.log(plan(version))
  for (const refusal of found) console.error(`refused: ${refusal}`)
  if (found.length > 0) return 1
  if (isDryRun) return 0
  for (const command of CHECKS) shell(command)
  const paths = await make(version)
  console.log(whatIsLeft(version, paths))
  return 0
}

function argumentsOf(): { readonly version: string; readonly isDryRun: boolean } | undefined {
  try {
    const options = { 'dry-run': { type: 'boolean' } } as const
    const { positionals, values } = parseArgs({ options, allowPositionals: true })
    const [version, ...more] = positionals
    if (version === undefined || more.length > 0) return undefined
    return { version, isDryRun: values['dry-run'] === true }
  } catch (error) {
    console.error((error as Error).message)
    return undefined
  }
}

/** All or nothing: what fails before the commit leaves the version as it was. */
async function make(version: string): Promise<string[]> {
  try {
    shell(versionCommand(version))
    const paths = await makeArtifacts(root, join(root, OUT, version))
    const others = changes(root).filter((line) => !VERSION_FILES.some((name) => line.endsWith(` ${name}`)))
    if (others.length > 0) throw new Error(`something changed files meanwhile:\n${others.join('\n')}`)
    git(root, 'commit', '--quiet', '--message', `Release ${version}`, '--', ...VERSION_FILES)
    git(root, 'tag', '--annotate', tagOf(version), '--message', version)
    return paths
  } catch (error) {
    git(root, 'checkout', '--quiet', 'HEAD', '--', ...VERSION_FILES)
    throw error
  }
}

function versionCommand(version: string): string {
  return `npm version ${version} --no-git-tag-version`
}

/** Node is the one of this project: `npm run` puts it first into the PATH. */
function shell(command: string): void {
  const [name = '', ...args] = command.split(' ')
  console.log(`$ ${command}`)
  execFileSync(name, args, { cwd: root, stdio: 'inherit' })
}

function plan(version: string): string {
  const out = `${OUT}/${version}`
  return [
    ...CHECKS,
    versionCommand(version),
    `npm pack --pack-destination ${out}`,
    `${CREATE_COMMAND} ${out}`,
    `${SBOM_COMMAND.join(' ')} > ${out}/anchorage-${version}.cdx.json`,
    `sha256sum *.tgz *.cdx.json > SHA256SUMS`,
    `git commit --message "Release ${version}" -- ${VERSION_FILES.join(' ')}`,
    `git tag --annotate ${tagOf(version)} --message ${version}`,
  ].join('\n')
}

function whatIsLeft(version: string, paths: readonly string[]): string {
  const publish = `npm publish --provenance${isPrerelease(version) ? ' --tag next' : ''}`
  const [archive, create] = paths.map((path) => basename(path))
  return `
${version} is made:
${paths.map((path) => `  ${path}`).join('\n')}

What is left for you (docs/releasing.md):
1. git push origin HEAD ${tagOf(version)}
2. In CI, on the tag: npm ci && npm pack && ${CREATE_COMMAND}
   The SHA-256 of both archives must be those of SHA256SUMS. Then, since the second one takes the first:
   ${publish} ${archive}
   ${publish} ${create}
3. Put the files above beside the tag, where the repository keeps releases.
4. Name this commit as the last release: ${git(root, 'rev-parse', 'HEAD')}
   in test/compatibility/last-release.json, with docs/compatibility.md. The tests say what no longer holds.`
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`error: ${(error as Error).message}`)
  process.exitCode = 1
}
