import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe } from 'vitest'
import release from './last-release.json' with { type: 'json' }

/**
 * The package as it was last released. last-release.json names its commit, and whoever releases the next one
 * names that there. It is packed by its own scripts, from git, the first time that a test wants it.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Packed releases, by their commit. The dependencies of a package that lies here are found in this checkout. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'anchorage-releases')
/** It takes 3 s, or 60 s where its dependencies must be installed. */
const STEP_TIMEOUT_MS = 300_000
/** The largest lock file that is read, in bytes. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024
const COMPILER = /^node_modules\/@?typescript\b/

const run = promisify(execFile)

/** The modules of one version of the package. */
export interface Package {
  /** One of its modules, named as in src/ and without an ending, such as `index`. */
  load<Module>(module: string): Promise<Module>
}

/** What is in src/. */
export const today: Package = {
  load: (module) => import(/* @vite-ignore */ new URL(`../../src/${module}.ts`, import.meta.url).href),
}

/** An unpacked release. Its modules are loaded beside today's, and share nothing with those. */
export class Release implements Package {
  readonly version = release.version
  readonly commit = release.commit
  /** Where it is unpacked. */
  readonly dir: string

  /** @internal Use `lastRelease`. */
  constructor(dir: string) {
    this.dir = dir
  }

  /** For `startCluster` and `Cluster.start`: replicas of a `ReplicatedMap` that run this release. */
  get program(): URL {
    return this.#url('testing/map-program')
  }

  /** Its command line. Run it with Node. */
  get cli(): string {
    return fileURLToPath(this.#url('cli/main'))
  }

  load<Module>(module: string): Promise<Module> {
    return import(/* @vite-ignore */ this.#url(module).href)
  }

  hasSource(path: string): boolean {
    return has(`${this.commit}:${path}`)
  }

  /** A file of its sources, such as `test/vectors/control.json`. */
  source(path: string): string {
    return execFileSync('git', ['show', `${this.commit}:${path}`], { cwd: ROOT, encoding: 'utf8' })
  }

  #url(module: string): URL {
    return pathToFileURL(join(this.dir, 'dist', `${module}.js`))
  }
}

/** Tests that need the last release. Where its commit is not in the clone they are skipped, with a message. */
export function describeWithRelease(name: string, tests: () => void): void {
  if (has(`${release.commit}^{commit}`)) return void describe(name, tests)
  console.warn(
    `SKIPPED, because this clone has no commit ${release.commit}, the last release; git fetch --unshallow gets it: ${name}`,
  )
  describe.skip(name, tests)
}

/** Whether the clone has an object of git. */
function has(object: string): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', object], { cwd: ROOT, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Resolves with the last release, which is packed if nobody did so before. */
export async function lastRelease(): Promise<Release> {
  const lock = await git('show', `${release.commit}:package-lock.json`)
  const sharesModules = isPartOf(
    modulesIn(lock),
    modulesIn(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')),
  )
  const place = join(CACHE, sharesModules ? release.commit : `${release.commit}-own-modules`)
  if (!existsSync(place)) await make(place, sharesModules)
  return new Release(join(place, 'package'))
}

/** Several processes may do so at once. Each works in directories of its own, and what the first one made counts. */
async function make(place: string, sharesModules: boolean): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  const made = await mkdtemp(join(CACHE, 'making-'))
  // Node strips no types below node_modules, where the cache is.
  const source = await mkdtemp(join(tmpdir(), 'anchorage-release-'))
  try {
    const sources = join(made, 'source.tar')
    await git('archive', '--output', sources, release.commit)
    await step('tar', ['-xf', sources, '-C', source], ROOT)
    const modules = join(source, 'node_modules')
    if (sharesModules) await symlink(join(ROOT, 'node_modules'), modules, 'junction')
    else await step('npm', ['ci', '--silent', '--no-audit', '--no-fund'], source)
    await step('npm', ['pack', '--silent', '--pack-destination', made], source)
    await step('tar', ['-xzf', join(made, `anchorage-${release.version}.tgz`), '-C', made], ROOT)
    if (!sharesModules)
      await cp(modules, join(made, 'node_modules'), { recursive: true, verbatimSymlinks: true })
    await rename(made, place).catch((error: unknown) => {
      if (!existsSync(place)) throw error
    })
  } finally {
    await Promise.all([made, source].map((dir) => rm(dir, { recursive: true, force: true })))
  }
}

async function git(...args: string[]): Promise<string> {
  return await step('git', args, ROOT)
}

/** Our tests give processes flags of Node by the environment, which would not fit npm's. */
async function step(command: string, args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { stdout } = await run(command, args, {
    cwd,
    env,
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
  })
  return stdout
}

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly dev?: boolean
}

/** What the package runs with, and what compiles it: the content of each, by its place. */
function modulesIn(lock: string): Map<string, string> {
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(lock)
  const needed = Object.entries(packages).filter(
    ([place, { dev }]) => place !== '' && (!dev || COMPILER.test(place)),
  )
  return new Map(needed.map(([place, { version, integrity }]) => [place, `${version} ${integrity}`]))
}

function isPartOf(part: Map<string, string>, whole: Map<string, string>): boolean {
  return [...part].every(([place, content]) => whole.get(place) === content)
}
